/** What a focus is asked by HTTP (MSC4195): a pass for its relay, and to look after our scheduled leave. */
import type { OpenId } from '../app/api'
import type { OwnDevice } from './events'

export interface FocusPass {
  url: string
  jwt: string
}

/** `status` 0: no answer. */
export class FocusError extends Error {
  constructor(readonly status: number) {
    super(`focus answered ${status}`)
    this.name = 'FocusError'
  }
}

const TIMEOUT = 15_000 // ms

type Fetch = typeof globalThis.fetch

export async function focusPass(focus: string, openid: OpenId, own: OwnDevice, fetch: Fetch = globalThis.fetch): Promise<FocusPass> {
  const answer = await post(`${focus}/sfu/get`, request(openid, own), fetch)
  const { url, jwt } = ((await answer.json().catch(() => null)) ?? {}) as Record<string, unknown>
  if (typeof url !== 'string' || typeof jwt !== 'string') throw new FocusError(answer.status)
  return { url, jwt }
}

/** Older focus services don't have it and say 404; those that do complain about the empty question. */
export async function looksAfterLeaves(focus: string, fetch: Fetch = globalThis.fetch): Promise<boolean> {
  try {
    const answer = await fetch(`${focus}/delegate_delayed_leave`, { method: 'POST', ...quietly() })
    return answer.status !== 404 && answer.status < 500
  } catch {
    return false
  }
}

/** The pass that comes with it is not needed: one is in use. */
export async function lookAfterLeave(
  focus: string,
  openid: OpenId,
  own: OwnDevice,
  leave: { delayId: string; timeout: number },
  fetch: Fetch = globalThis.fetch,
): Promise<void> {
  const body = { ...request(openid, own), delay_id: leave.delayId, delay_timeout: leave.timeout }
  await post(`${focus}/sfu/get`, body, fetch)
}

function request(openid: OpenId, own: OwnDevice) {
  return { room: own.roomId, openid_token: openid, device_id: own.deviceId }
}

async function post(address: string, body: object, fetch: Fetch): Promise<Response> {
  let answer: Response
  try {
    const headers = { 'Content-Type': 'application/json' }
    answer = await fetch(address, { method: 'POST', headers, body: JSON.stringify(body), ...quietly() })
  } catch {
    throw new FocusError(0)
  }
  if (!answer.ok) throw new FocusError(answer.status)
  return answer
}

/** No cookie goes along, and nothing is kept. */
function quietly(): RequestInit {
  return { credentials: 'omit', cache: 'no-store', referrerPolicy: 'no-referrer', signal: AbortSignal.timeout(TIMEOUT) }
}
