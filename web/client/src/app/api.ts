/** The HTTP API of docs/http-api.md, typed. Holds the session in memory and nowhere else. */
import type { Answer, Capture, Consent, Kind } from '../call/capture'
import { parseCapture } from '../call/capture'

export interface User {
  id: string
  name: string
}

export interface OpenId {
  access_token: string
  token_type: string
  matrix_server_name: string
  expires_in: number
}

export interface Meeting {
  id: string
  title: string
  mode: string
  roomEncrypted: boolean
  /** Null while nobody is in. `startedAt` in seconds since the epoch. */
  call: { startedAt: number; participants: string[] } | null
  capture: Capture
}

/** What the server gives to somebody who may join: an address, a token for it, and what they may do. */
export interface Pass {
  url: string
  token: string
  identity: string
  name: string
  mode: string
  /** The focus to name in the room's member event; absent where the call is closed to other Matrix clients. */
  service_url?: string | null
  may: { publish: boolean; share: boolean; capture: boolean; moderate: boolean }
}

/** What the server says of itself, for sentences. */
export interface Service {
  /** How commands to the bot begin. */
  commandPrefix: string
  /** How long after a call people can still be taken out of what was captured of it. */
  forgetSeconds: number
}

/** The server refused, or could not be reached (`unreachable`). `code` is stable; the page translates it. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    readonly params: Record<string, string | number> = {},
  ) {
    super(code)
    this.name = 'ApiError'
  }
}

/** Longer than any answer should take; shorter than people's patience with a standing wheel. */
const TIMEOUT = 15_000 // ms

export class Api {
  private session: string | null = null
  /** The defaults of both, until a session says otherwise. */
  service: Service = { commandPrefix: '!palabre', forgetSeconds: 3600 }

  constructor(private readonly fetch: typeof globalThis.fetch = globalThis.fetch.bind(globalThis)) {}

  get signedIn(): boolean {
    return this.session !== null
  }

  forget(): void {
    this.session = null
  }

  async signInByOpenId(openid: OpenId, roomId: string): Promise<{ user: User; meetingId: string }> {
    const answer = await this.call('POST', '/session/openid', { openid, room_id: roomId })
    this.opened(answer)
    return { user: answer.user, meetingId: answer.meeting.id }
  }

  async signInByPassword(user: string, password: string): Promise<User> {
    const answer = await this.call('POST', '/session/dev', { user, password })
    this.opened(answer)
    return answer.user
  }

  private opened(answer: { session: string; command_prefix: string; forget_seconds: number }): void {
    this.session = answer.session
    this.service = { commandPrefix: answer.command_prefix, forgetSeconds: answer.forget_seconds }
  }

  async meeting(id: string): Promise<Meeting> {
    const answer = await this.call('GET', `/meetings/${encodeURIComponent(id)}`)
    return {
      id: answer.id,
      title: answer.title,
      mode: answer.mode,
      roomEncrypted: answer.room_encrypted === true,
      call: answer.call
        ? { startedAt: answer.call.started_at, participants: answer.call.participants }
        : null,
      capture: parseCapture(answer.capture),
    }
  }

  /** `mode`: for a device of the Matrix client around us, which other Matrix clients are to recognise. */
  async join(id: string, device: string, mode?: string): Promise<Pass> {
    return await this.call('POST', `/meetings/${encodeURIComponent(id)}/join`, mode === undefined ? { device } : { device, mode })
  }

  async startCapture(id: string, kinds: Kind[]): Promise<Capture> {
    return parseCapture(await this.call('POST', `/meetings/${encodeURIComponent(id)}/capture`, { kinds }))
  }

  async stopCapture(id: string, kinds: Kind[]): Promise<Capture> {
    return parseCapture(await this.call('DELETE', `/meetings/${encodeURIComponent(id)}/capture`, { kinds }))
  }

  async answerConsent(id: string, kinds: Consent[], answer: Answer): Promise<void> {
    await this.call('PUT', `/meetings/${encodeURIComponent(id)}/consent`, { kinds, answer })
  }

  /** A no that also takes out what was captured before; in the meeting's last call, also after it. */
  async removeEarlier(id: string, kinds: Kind[]): Promise<void> {
    await this.call('PUT', `/meetings/${encodeURIComponent(id)}/consent`, { kinds, answer: 'no', earlier: 'remove' })
  }

  /** How many tracks were open: none where nothing of them passes through this server. */
  async mute(id: string, identity: string): Promise<number> {
    return (await this.call('POST', `${participant(id, identity)}/mute`)).muted
  }

  async remove(id: string, identity: string): Promise<void> {
    await this.call('POST', `${participant(id, identity)}/remove`)
  }

  // The shapes are the server's word (docs/http-api.md); what people typed is in them, code is not.
  // oxlint-disable-next-line typescript/no-explicit-any
  private async call(method: string, path: string, body?: unknown): Promise<any> {
    const headers: Record<string, string> = { Accept: 'application/json' }
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    if (this.session !== null) headers['Authorization'] = `Bearer ${this.session}`
    let response: Response
    try {
      response = await this.fetch(`/api${path}`, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        credentials: 'omit',
        cache: 'no-store',
        signal: AbortSignal.timeout(TIMEOUT),
      })
    } catch {
      throw new ApiError('unreachable', 0)
    }
    const answer: unknown = await response.json().catch(() => null)
    if (!response.ok) throw errorFrom(response.status, answer)
    if (answer === null) throw new ApiError('bad_answer', response.status)
    return answer
  }
}

function participant(meeting: string, identity: string): string {
  return `/meetings/${encodeURIComponent(meeting)}/participants/${encodeURIComponent(identity)}`
}

function errorFrom(status: number, answer: unknown): ApiError {
  const { code, params } = (answer ?? {}) as { code?: unknown; params?: unknown }
  return new ApiError(
    typeof code === 'string' ? code : `http_${status}`,
    status,
    typeof params === 'object' && params !== null ? (params as Record<string, string | number>) : {},
  )
}
