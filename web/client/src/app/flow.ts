/**
 * Leads the person from the door to the call and out again: asks the server, and tells the screens what came of it.
 *
 * One per page, used from the browser's one thread. Each step first checks that the page is still where the step
 * belongs (`screens.next` ignores events that no longer fit), so that a late answer changes nothing.
 */
import { createStore } from 'zustand/vanilla'
import type { Capture, Kind } from '../call/capture'
import { NOTHING, running } from '../call/capture'
import type { Devices } from '../call/devices'
import type { Tracks } from '../call/preview'
import type { CallSession } from '../call/session'
import type { WidgetBridge } from '../features/widget/bridge'
import type { Api, Meeting, OpenId, Pass } from './api'
import { ApiError } from './api'
import type { Problem, Screen, ScreenEvent } from './screens'
import { FIRST, next } from './screens'

/** The door: a link, or a widget with its client. */
export type Door =
  | { kind: 'link'; meetingId: string }
  | { kind: 'widget'; roomId: string; bridge: () => Promise<WidgetBridge> }

export interface FlowParts {
  api: Api
  door: Door
  /** Whether the server has the local sign-in. */
  dev: boolean
  device: string
  makeSession: (devices: Devices, onEnd: (ending: string | null) => void) => Promise<CallSession>
  now?: () => number // ms
}

/** A call that runs, for the call's own screen. */
export interface RunningCall {
  session: CallSession
  pass: Pass
}

export class Flow {
  readonly screen = createStore<Screen>(() => FIRST)
  private person = ''
  private meetingId = ''
  private running: RunningCall | null = null
  private begun = 0
  private readonly captured = new Set<Kind>()
  private readonly now: () => number

  constructor(private readonly parts: FlowParts) {
    this.now = parts.now ?? Date.now
  }

  get api(): Api {
    return this.parts.api
  }

  get inWidget(): boolean {
    return this.parts.door.kind === 'widget'
  }

  get call(): RunningCall | null {
    return this.running
  }

  /** From the beginning: also what "try again" does on the error page. */
  async start(): Promise<void> {
    const { door, dev } = this.parts
    if (door.kind === 'widget') return await this.enterByWidget()
    this.meetingId = door.meetingId
    if (this.api.signedIn) return await this.findMeeting()
    if (dev) this.tell({ type: 'signInNeeded', problem: null })
    else this.refuse({ code: 'no_sign_in' })
  }

  async signIn(user: string, password: string): Promise<void> {
    this.tell({ type: 'signInSent' })
    try {
      this.person = (await this.api.signInByPassword(user, password)).name
    } catch (error) {
      return this.tell({ type: 'signInNeeded', problem: problemOf(error) })
    }
    await this.findMeeting()
  }

  /** Who is there by now; silent when it fails, the next round or the join will tell. */
  async refresh(): Promise<void> {
    try {
      this.tell({ type: 'meetingChanged', meeting: await this.api.meeting(this.meetingId) })
    } catch (error) {
      if (expired(error)) await this.renew()
    }
  }

  async join(tracks: Tracks, devices: Devices): Promise<void> {
    this.tell({ type: 'joinAsked' })
    try {
      const pass = await this.ask(() => this.api.join(this.meetingId, this.parts.device))
      const session = await this.parts.makeSession(devices, (ending) => this.ended(ending))
      await session.connect(pass.url, pass.token, tracks, pass.may.publish)
      this.running = { session, pass }
    } catch (error) {
      tracks.microphone?.stop()
      tracks.camera?.stop()
      if (expired(error) && !this.inWidget) return this.tell({ type: 'signInNeeded', problem: problemOf(error) })
      return this.tell({ type: 'joinRefused', problem: problemOf(error) })
    }
    this.begun = this.now()
    this.captured.clear()
    this.tell({ type: 'connected' })
    void this.keepVisible(true)
  }

  async leave(): Promise<void> {
    await this.running?.session.leave()
  }

  async back(): Promise<void> {
    this.tell({ type: 'backAsked' })
    await this.refresh()
  }

  /** The call's own screen says what is captured, so that the last page can tell what becomes of it. */
  noteCapture(capture: Capture): void {
    for (const kind of running(capture)) this.captured.add(kind)
  }

  async startCapture(kinds: Kind[]): Promise<void> {
    await this.ask(() => this.api.startCapture(this.meetingId, kinds))
  }

  async stopCapture(kinds: Kind[]): Promise<void> {
    await this.ask(() => this.api.stopCapture(this.meetingId, kinds))
  }

  async answerConsent(kinds: Kind[], answer: 'yes' | 'no'): Promise<void> {
    await this.ask(() => this.api.answerConsent(this.meetingId, kinds, answer))
  }

  private async enterByWidget(): Promise<void> {
    try {
      await this.vouch()
    } catch (error) {
      return this.refuse(problemOf(error))
    }
    await this.findMeeting()
  }

  /** A new session with a fresh word of the Matrix client. */
  private async vouch(): Promise<void> {
    const { door } = this.parts
    if (door.kind !== 'widget') return
    const bridge = await door.bridge()
    const openid: OpenId = await bridge.openId()
    const { user, meetingId } = await this.api.signInByOpenId(openid, door.roomId)
    this.person = user.name
    this.meetingId = meetingId
  }

  private async findMeeting(): Promise<void> {
    try {
      const meeting: Meeting = await this.ask(() => this.api.meeting(this.meetingId))
      this.tell({ type: 'meetingFound', meeting: { ...meeting, capture: meeting.capture ?? NOTHING }, person: this.person })
    } catch (error) {
      if (expired(error) && !this.inWidget) this.tell({ type: 'signInNeeded', problem: problemOf(error) })
      else this.refuse(problemOf(error))
    }
  }

  /** Sessions end after a while; as a widget we get a new one without troubling the person. */
  private async ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!expired(error)) throw error
      this.api.forget()
      if (!this.inWidget) throw error
      await this.vouch()
      return await work()
    }
  }

  private async renew(): Promise<void> {
    this.api.forget()
    if (this.inWidget) await this.vouch().catch(() => undefined)
    else this.tell({ type: 'signInNeeded', problem: { code: 'session_expired' } })
  }

  private ended(ending: string | null): void {
    const seconds = Math.max(0, Math.round((this.now() - this.begun) / 1000))
    this.running = null
    void this.keepVisible(false)
    const problem = ending === null ? null : { code: ending }
    this.tell({ type: 'left', summary: { seconds, captured: [...this.captured], problem } })
  }

  private async keepVisible(visible: boolean): Promise<void> {
    if (this.parts.door.kind === 'widget') await (await this.parts.door.bridge()).keepVisible(visible)
  }

  /** The page can't even begin. */
  refuse(problem: Problem): void {
    this.tell({ type: 'failed', problem })
  }

  private tell(event: ScreenEvent): void {
    this.screen.setState(next(this.screen.getState(), event), true)
  }
}

/** The session is over; a refused Matrix identity (`openid_refused`) is something else. */
const EXPIRED: readonly string[] = ['session_expired', 'session_missing', 'wrong_meeting', 'http_401']

function expired(error: unknown): boolean {
  return error instanceof ApiError && EXPIRED.includes(error.code)
}

/** Every error of ours has a code; anything else is our own fault and says so. */
export function problemOf(error: unknown): Problem {
  const { code, params } = (error ?? {}) as { code?: unknown; params?: Problem['params'] }
  return typeof code === 'string' ? { code, params } : { code: 'page_failed' }
}
