/**
 * Leads the person from the door to the call and out again: asks the server, and tells the screens what came of it.
 *
 * One per page, used from the browser's one thread. Each step first checks that the page is still where the step
 * belongs (`screens.next` ignores events that no longer fit), so that a late answer changes nothing.
 */
import { createStore } from 'zustand/vanilla'
import type { Answer, Capture, Consent, Kind } from '../call/capture'
import { callIdOf, NOTHING, running } from '../call/capture'
import type { Devices } from '../call/devices'
import type { Tracks } from '../call/preview'
import type { Encryption } from '../call/encryption'
import type { CallSession } from '../call/session'
import type { WidgetBridge } from '../features/widget/bridge'
import type { OwnDevice } from '../rtc/events'
import { capabilitiesFor } from '../rtc/events'
import type { RtcStay, StayParts } from '../rtc/stay'
import type { Api, Meeting, OpenId, Pass } from './api'
import { ApiError } from './api'
import type { Problem, Screen, ScreenEvent } from './screens'
import { FIRST, next } from './screens'

/** Of a call: media are encrypted from person to person. Of a request: the page could, and is a Matrix device's. */
const MODE_END_TO_END = 'e2ee'

/** The door: a link, or a widget with its client. */
export type Door =
  | { kind: 'link'; meetingId: string }
  | { kind: 'widget'; roomId: string; deviceId: string; bridge: () => Promise<WidgetBridge> }

export interface FlowParts {
  api: Api
  door: Door
  /** Whether the server has the local sign-in. */
  dev: boolean
  /** Relays of others that we may connect to (app/config.ts). */
  foci: readonly string[]
  device: string
  makeSession: (devices: Devices, onEnd: (ending: string | null) => void, encryption: Encryption | null) => Promise<CallSession>
  /** Only ever called inside a Matrix client. */
  makeStay: (parts: StayParts) => Promise<RtcStay>
  now?: () => number // ms
}

/** A step that can't be taken; `code` is a problem code. */
export class FlowError extends Error {
  constructor(readonly code: 'device_unknown' | 'call_not_shared' | 'mode_changed' | 'consent_not_sent') {
    super(code)
    this.name = 'FlowError'
  }
}

/** What the Matrix client allows of announcing us in the room. */
interface Introduction {
  bridge: WidgetBridge
  own: OwnDevice
  granted: ReadonlySet<string>
}

/** A call that runs, for the call's own screen. */
export interface RunningCall {
  session: CallSession
  pass: Pass
  /** Null where the room's other Matrix clients don't see us: by link. */
  stay: RtcStay | null
}

export class Flow {
  readonly screen = createStore<Screen>(() => FIRST)
  private person = ''
  private userId = ''
  private meetingId = ''
  private running: RunningCall | null = null
  private begun = 0
  /** Why we leave, where it isn't the person's wish. */
  private failure: string | null = null
  private readonly captured = new Set<Kind>()
  private kept: { call: string | null; kinds: Kind[] } = { call: null, kinds: [] }
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
      this.running = await this.enter(tracks, devices)
    } catch (error) {
      tracks.microphone?.stop()
      tracks.camera?.stop()
      if (expired(error) && !this.inWidget) return this.tell({ type: 'signInNeeded', problem: problemOf(error) })
      this.tell({ type: 'joinRefused', problem: problemOf(error) })
      return await this.refresh() // It may be the meeting that changed.
    }
    this.begun = this.now()
    this.captured.clear()
    this.tell({ type: 'connected' })
    void this.keepVisible(true)
  }

  /** Introduces us to the room where that is possible, asks for a seat, and takes it. */
  private async enter(tracks: Tracks, devices: Devices): Promise<RunningCall> {
    const endToEnd = this.expected?.mode === MODE_END_TO_END
    const introduction = await this.introduce(endToEnd)
    const pass = await this.ask(() =>
      introduction === null
        ? this.api.join(this.meetingId, this.parts.device)
        : this.api.join(this.meetingId, introduction.own.deviceId, MODE_END_TO_END),
    )
    // Somebody opened the call otherwise meanwhile: the person is to know before they speak.
    if ((pass.mode === MODE_END_TO_END) !== endToEnd) throw new FlowError('mode_changed')
    this.failure = null
    const stay = introduction === null || !pass.service_url ? null : await this.announce(introduction, pass.service_url, endToEnd, devices)
    try {
      const session = await this.parts.makeSession(devices, (ending) => this.ended(ending), stay?.encrypt() ?? null)
      stay?.attend(session.room)
      await session.connect(pass.url, pass.token, tracks, pass.may.publish)
      return { session, pass, stay }
    } catch (error) {
      void stay?.leave()
      throw error
    }
  }

  /** Null: nobody is told of us, and nobody has to be. Raises `FlowError` where it can't be done without. */
  private async introduce(endToEnd: boolean): Promise<Introduction | null> {
    const { door } = this.parts
    // In an encrypted room a call to the server is closed to other Matrix clients.
    if (door.kind !== 'widget' || !(endToEnd || this.expected?.roomEncrypted === false)) return null
    if (door.deviceId === '' || this.userId === '') {
      if (endToEnd) throw new FlowError('device_unknown')
      return null
    }
    const own = { userId: this.userId, deviceId: door.deviceId, roomId: door.roomId }
    const { needed, useful } = capabilitiesFor(own, endToEnd)
    const bridge = await door.bridge()
    const granted = await bridge.allow([...needed, ...useful])
    if (needed.every((capability) => granted.has(capability))) return { bridge, own, granted }
    if (endToEnd) throw new FlowError('call_not_shared')
    return null
  }

  private async announce({ bridge, own, granted }: Introduction, focus: string, endToEnd: boolean, devices: Devices): Promise<RtcStay> {
    return await this.parts.makeStay({
      host: bridge.matrix,
      own,
      focus,
      endToEnd,
      granted,
      devices,
      foci: this.parts.foci,
      onFailure: (code) => {
        this.failure = code
        void this.leave()
      },
    })
  }

  /** The meeting as the person saw it when they pressed the button. */
  private get expected(): Meeting | null {
    const screen = this.screen.getState()
    return screen.name === 'connecting' ? screen.meeting : null
  }

  async leave(): Promise<void> {
    await this.running?.session.leave()
  }

  async back(): Promise<void> {
    this.tell({ type: 'backAsked' })
    await this.refresh()
  }

  /** The call's own screen says what is captured, so that the last page can tell what becomes of it. */
  noteCapture(call: string | null, capture: Capture, kept: Kind[]): void {
    for (const kind of running(capture)) this.captured.add(kind)
    this.kept = { call, kinds: kept }
  }

  /** Whoever comes back into the call that they left can still change their mind. */
  keptBefore(call: string | null): Kind[] {
    return call !== null && call === this.kept.call ? this.kept.kinds : []
  }

  async startCapture(kinds: Kind[]): Promise<void> {
    await this.ask(() => this.api.startCapture(this.meetingId, kinds))
    // End-to-end, starting alone agrees to nothing; the dialog has said that whoever starts agrees.
    if (this.running?.stay?.endToEnd === true) await this.answerConsent(kinds, 'yes')
  }

  async stopCapture(kinds: Kind[]): Promise<void> {
    await this.ask(() => this.api.stopCapture(this.meetingId, kinds))
  }

  /** End-to-end, a yes is an event that the person's own device encrypts, and nothing else; a no takes every way. */
  async answerConsent(kinds: Consent[], answer: Answer): Promise<void> {
    const put = () => this.ask(() => this.api.answerConsent(this.meetingId, kinds, answer))
    if (this.running?.stay?.endToEnd !== true) return await put()
    const sent = this.sendConsent(kinds, answer)
    if (answer === 'no') return await put().catch(async (error: unknown) => {
      if (!(await sent)) throw error
    })
    if (!(await sent)) throw new FlowError('consent_not_sent')
  }

  /** Takes out what was captured of the person before they said no: in the call, or after it. */
  async removeEarlier(kinds: Kind[]): Promise<void> {
    const sent = this.sendConsent(kinds, 'no', { earlier: 'remove' })
    try {
      await this.ask(() => this.api.removeEarlier(this.meetingId, kinds))
    } catch (error) {
      // What the server refuses stays refused; only its silence is made up for by the event.
      if (problemOf(error).code !== 'unreachable' || !(await sent)) throw error
    }
    this.kept = { ...this.kept, kinds: this.kept.kinds.filter((kind) => !kinds.includes(kind)) }
  }

  /** Whether it went through the room. */
  private async sendConsent(kinds: Consent[], answer: Answer, more: { earlier?: 'remove' } = {}): Promise<boolean> {
    const { session, stay } = this.running ?? {}
    if (session === undefined || stay?.endToEnd !== true) return false
    const call = callIdOf(session.room.metadata)
    if (call === null) return false
    const answers = Object.fromEntries(kinds.map((kind) => [kind, answer]))
    return await stay.sendConsent({ call, answers, ...more }).then(
      () => true,
      () => false, // The client does not allow it, or its homeserver is away.
    )
  }

  /** Returns how many tracks were open. */
  async mute(identity: string): Promise<number> {
    return await this.ask(() => this.api.mute(this.meetingId, identity))
  }

  async remove(identity: string): Promise<void> {
    await this.ask(() => this.api.remove(this.meetingId, identity))
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
    this.userId = user.id
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
    void this.running?.stay?.leave()
    this.running = null
    void this.keepVisible(false)
    const code = this.failure ?? ending
    const problem = code === null ? null : { code }
    this.tell({ type: 'left', summary: { seconds, captured: [...this.captured], kept: this.kept.kinds, problem } })
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
