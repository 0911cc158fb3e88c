/**
 * One stay in the MatrixRTC call of a room: our member event, everybody else's, and the media keys.
 *
 * Who is in, when keys rotate and what the member event says is decided by matrix-js-sdk's managers, which Element
 * Call uses too; this puts them on the widget's client, keeps what that client tells, and gives out the results:
 * members in a store, keys to `onKey`. Used from the browser's one thread; `read` never runs twice at once.
 */
import { MatrixError } from 'matrix-js-sdk/lib/http-api/errors.js'
import { MembershipManagerEvent } from 'matrix-js-sdk/lib/matrixrtc/IMembershipManager.js'
import { MembershipManager } from 'matrix-js-sdk/lib/matrixrtc/MembershipManager.js'
import { RTCEncryptionManager } from 'matrix-js-sdk/lib/matrixrtc/RTCEncryptionManager.js'
import { createStore } from 'zustand/vanilla'
import { membershipClient } from './client'
import type { OwnDevice, RoomEvent, ToDeviceMessage } from './events'
import { MEMBER_STATE, ROOM_MEMBER, SLOT, stateIdentity } from './events'
import type { MatrixHost } from './host'
import { KeyInbox } from './keyInbox'
import { KeyTransport } from './keyTransport'
import type { Member, Membership } from './members'
import { nextExpiry, readMembers } from './members'
import { quiet } from './quiet'
import { RoomState } from './roomState'

/** `call_not_allowed`: the room takes no member event of the person · `announce_failed`: it could not be sent. */
export class RtcError extends Error {
  constructor(readonly code: 'call_not_allowed' | 'announce_failed' | 'encryption_unsupported') {
    super(code)
    this.name = 'RtcError'
  }
}

export interface RtcParts {
  host: MatrixHost
  own: OwnDevice
  /** The address of our focus, as it stands in the member event. */
  focus: string
  endToEnd: boolean
  /** Whether the client lets us schedule a leave (MSC4140). */
  mayDelay: boolean
  /** Whether our focus looks after the scheduled leave: it notices sooner than anybody that we are gone. */
  delegated: boolean
  /** A leave was scheduled; null: none is any more. */
  onDelayId(delayId: string | null): void
  /** The member event is gone for good, against our will. */
  onFailure(error: RtcError): void
  now?: () => number
}

export type KeyListener = (identity: string, index: number, key: Uint8Array<ArrayBuffer>) => void

/** As Element Call 0.26: long enough for a sleeping network, short enough that nobody talks to a ghost. */
const LEAVE_AFTER = 18_000 // ms
const RESTART_EVERY = 4_000 // ms
/** Where the focus restarts the leave, ours is for the case that it doesn't. Background tabs wake once a minute. */
export const DELEGATED_LEAVE_AFTER = 120_000 // ms
const DELEGATED_RESTART_EVERY = 30_000 // ms
/** A homeserver may be away for as long as the call goes on. */
const ENDLESS = 100_000
/** Longer than a member event takes on a busy homeserver. */
const ANNOUNCE_WITHIN = 20_000 // ms
/** People who leave don't wait; the scheduled leave does the rest. */
const LEAVE_WITHIN = 3_000 // ms

export class RtcSession {
  readonly store = createStore<{ members: readonly Member[] }>(() => ({ members: [] }))
  private readonly state: RoomState
  private readonly membership: MembershipManager
  private readonly keys: KeyTransport
  private readonly encryption: RTCEncryptionManager | null
  private readonly now: () => number
  private memberships: readonly Membership[] = []
  private reading: Promise<void> | null = null
  private stale = false
  private expiry: ReturnType<typeof setTimeout> | undefined
  private stopListening: () => void = () => undefined
  private keyListener: KeyListener = () => undefined
  private failure: RtcError | null = null
  private left = false
  /** Until then an own member event is one that an earlier page left behind. */
  private sentOwn = false
  private wake: () => void = () => undefined

  constructor(private readonly parts: RtcParts) {
    const { host, own, endToEnd, mayDelay, delegated } = parts
    this.now = parts.now ?? Date.now
    this.state = new RoomState(own.roomId)
    this.membership = new MembershipManager(
      {
        callIntent: 'video',
        delayedLeaveEventDelayMs: delegated ? DELEGATED_LEAVE_AFTER : LEAVE_AFTER,
        delayedLeaveEventRestartMs: delegated ? DELEGATED_RESTART_EVERY : RESTART_EVERY,
        maximumNetworkErrorRetryCount: ENDLESS,
        maximumRateLimitRetryCount: ENDLESS,
      },
      { roomId: own.roomId, getVersion: () => '' },
      membershipClient(host, own, mayDelay, (event) => this.sent(event)),
      SLOT,
      quiet,
    )
    this.membership.on(MembershipManagerEvent.DelayIdChanged, (id) => parts.onDelayId(id ?? null))
    const inbox = new KeyInbox(own.roomId, (user) => this.state.joined(user), (user, device) => this.isMember(user, device))
    this.keys = new KeyTransport(host, own, inbox, this.now)
    this.encryption = endToEnd ? this.makeEncryption() : null
  }

  /** Every key that there is, the ones known already at once. */
  onKey(listener: KeyListener): void {
    this.keyListener = listener
    for (const ring of this.encryption?.getEncryptionKeys().values() ?? []) {
      for (const { rtcBackendIdentity, keyIndex, key } of ring) listener(rtcBackendIdentity, keyIndex, key)
    }
  }

  nameOf(userId: string): string | null {
    return this.state.nameOf(userId)
  }

  /** Comes into the call; over when the room knows it. Raises `RtcError`. */
  async join(): Promise<void> {
    const { host, focus } = this.parts
    this.stopListening = host.listen({ events: (events) => this.take(events), toDevice: (message) => this.receive(message) })
    try {
      await host.stateKnown([ROOM_MEMBER, MEMBER_STATE])
      await this.read()
      this.encryption?.join({ manageMediaKeys: true })
      this.encryption?.onMembershipsUpdate() // Our first key, before anything is sent.
      const transport = { type: 'livekit', livekit_service_url: focus, livekit_alias: this.parts.own.roomId }
      this.membership.join([], transport, (error) => this.failed(error))
      await this.announced()
    } catch (error) {
      await this.leave()
      throw error instanceof RtcError ? error : new RtcError('announce_failed')
    }
  }

  /** Withdraws the member event. Never raises: the scheduled leave does it later. */
  async leave(): Promise<void> {
    if (this.left) return
    this.left = true
    this.encryption?.leave()
    await this.membership.leave(LEAVE_WITHIN).catch(() => undefined)
    clearTimeout(this.expiry)
    this.stopListening()
  }

  private makeEncryption(): RTCEncryptionManager {
    const { userId, deviceId } = this.parts.own
    return new RTCEncryptionManager(
      { userId, deviceId, memberId: stateIdentity(this.parts.own) },
      () => this.memberships.map(({ source }) => source),
      this.keys,
      (key, index, _member, identity) => this.keyListener(identity, index, key),
      quiet,
    )
  }

  private isMember(userId: string, deviceId: string): boolean {
    return this.memberships.some((member) => member.userId === userId && member.deviceId === deviceId)
  }

  private isOwn({ userId, deviceId }: Member): boolean {
    return userId === this.parts.own.userId && deviceId === this.parts.own.deviceId
  }

  private get ownMember(): boolean {
    return this.memberships.some((member) => this.isOwn(member))
  }

  private sent(event: RoomEvent): void {
    this.sentOwn ||= 'application' in event.content
    this.take([event])
  }

  private take(events: readonly RoomEvent[]): void {
    let changed = false
    for (const event of events) changed = this.state.take(event) || changed
    if (changed) void this.read()
  }

  private receive(message: ToDeviceMessage): void {
    if (this.encryption !== null) this.keys.receive(message)
  }

  /** Reads the members anew, once more if something changed meanwhile. */
  private async read(): Promise<void> {
    this.stale = true
    this.reading ??= this.readWhileStale().finally(() => {
      this.reading = null
    })
    await this.reading
  }

  private async readWhileStale(): Promise<void> {
    while (this.stale && !this.left) {
      this.stale = false
      const found = await readMembers(this.state, this.now())
      // Carried on, what an earlier page left would look to others as if they had sent us their keys already.
      this.memberships = this.sentOwn ? found : found.filter((member) => !this.isOwn(member))
      this.store.setState({ members: this.memberships })
      const sources = this.memberships.map(({ source }) => source)
      await this.membership.onRTCSessionMemberUpdate(sources)
      if (this.membership.isActivated()) this.encryption?.onMembershipsUpdate()
      this.keys.membersChanged()
      this.wake()
    }
    this.awaitExpiry()
  }

  private awaitExpiry(): void {
    clearTimeout(this.expiry)
    const next = nextExpiry(this.memberships)
    if (next === null || this.left) return
    const LONGEST_TIMER = 2 ** 31 - 1 // ms; browsers fire at once beyond
    this.expiry = setTimeout(() => void this.read(), Math.min(Math.max(next - this.now(), 0) + 1, LONGEST_TIMER))
  }

  private async announced(): Promise<void> {
    const deadline = setTimeout(() => this.failed(new Error('The room does not know of us')), ANNOUNCE_WITHIN)
    try {
      while (!this.ownMember) {
        if (this.failure !== null) throw this.failure
        await new Promise<void>((resolve) => {
          this.wake = resolve
        })
      }
    } finally {
      clearTimeout(deadline)
    }
  }

  private failed(error: unknown): void {
    this.failure = new RtcError(forbidden(error) ? 'call_not_allowed' : 'announce_failed')
    this.wake()
    if (!this.left && this.ownMember) this.parts.onFailure(this.failure)
  }
}

/** The manager wraps what stopped it. */
function forbidden(error: unknown): boolean {
  if (error instanceof MatrixError) return error.errcode === 'M_FORBIDDEN' || error.httpStatus === 403
  return error instanceof Error && error.cause !== undefined && forbidden(error.cause)
}
