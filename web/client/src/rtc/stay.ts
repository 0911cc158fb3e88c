/**
 * A stay in a MatrixRTC call, whole: announced in the room, with keys, and with the people of other foci.
 *
 * Loaded only inside a Matrix client. The connection to our own focus is the page's (call/session.ts); this has what
 * goes around it.
 */
import type { Room } from 'livekit-client'
import { Room as LiveKitRoom, RoomEvent } from 'livekit-client'
import type { OpenId } from '../app/api'
import type { Devices } from '../call/devices'
import type { Encryption } from '../call/encryption'
import { canEncrypt, makeEncryption } from '../call/encryption'
import { keyWatch } from '../call/keyWatch'
import { roomOptions } from '../call/options'
import type { OwnDevice } from './events'
import { CONSENT, stateIdentity } from './events'
import { lookAfterLeave, looksAfterLeaves } from './focus'
import type { MatrixHost } from './host'
import { mayReach, OtherFoci } from './otherFoci'
import { DELEGATED_LEAVE_AFTER, RtcError, RtcSession } from './session'

export interface StayParts {
  host: MatrixHost
  own: OwnDevice
  focus: string
  endToEnd: boolean
  granted: ReadonlySet<string>
  devices: Devices
  /** Relays of others that we may connect to (app/config.ts). */
  foci: readonly string[]
  /** The call can't go on. */
  onFailure: (code: string) => void
}

/** A token is good for an hour; asking each time would have some clients ask the person each time. */
const TOKEN_MARGIN = 60_000 // ms

export type RtcStay = Awaited<ReturnType<typeof stayInCall>>

/** Announces us; raises `RtcError`. */
export async function stayInCall(parts: StayParts) {
  const { host, own, focus, endToEnd, granted, devices } = parts
  if (endToEnd && !canEncrypt()) throw new RtcError('encryption_unsupported')
  const openId = remembered(() => host.openId())
  const watch = keyWatch()
  const encryptions = new Set<Encryption>()
  const keys = new Map<string, [identity: string, index: number, key: Uint8Array<ArrayBuffer>]>()

  const encrypt = (): Encryption => {
    const encryption = makeEncryption(stateIdentity(own))
    encryptions.add(encryption)
    for (const key of keys.values()) void encryption.keys.add(...key)
    return encryption
  }
  const makeRoom = () => {
    const encryption = endToEnd ? encrypt() : null
    const room: Room = new LiveKitRoom({ ...roomOptions(devices), ...encryption?.options })
    watch.watch(room)
    return {
      room,
      prepare: async () => await encryption?.enforce(room),
      dispose: () => forget(encryption),
    }
  }
  const forget = (encryption: Encryption | null) => {
    encryption?.stop()
    if (encryption !== null) encryptions.delete(encryption)
  }

  const mayDelay = granted.has('org.matrix.msc4157.send.delayed_event') && granted.has('org.matrix.msc4157.update_delayed_event')
  const delegated = mayDelay && (await looksAfterLeaves(focus))
  const reaches = (other: string) => other === focus || mayReach(other, parts.foci)
  const foci = new OtherFoci({ own, ownFocus: focus, reaches, openId, makeRoom })
  const session = new RtcSession({
    host,
    own,
    focus,
    endToEnd,
    mayDelay,
    delegated,
    onDelayId: (delayId) => {
      if (delegated && delayId !== null) void delegate(delayId)
    },
    onFailure: (error: RtcError) => parts.onFailure(error.code),
  })
  const delegate = async (delayId: string) => {
    // If the focus doesn't take it, our own restarts keep us in, and its firing gets us out.
    await openId().then((token) => lookAfterLeave(focus, token, own, { delayId, timeout: DELEGATED_LEAVE_AFTER })).catch(() => undefined)
  }

  session.onKey((identity, index, key) => {
    keys.set(`${index} ${identity}`, [identity, index, key])
    for (const encryption of encryptions) void encryption.keys.add(identity, index, key)
    watch.keyArrived(identity)
  })
  const stopFollowing = session.store.subscribe(({ members }) => foci.follow(members))
  try {
    await session.join()
  } catch (error) {
    stopFollowing()
    foci.stop()
    throw error
  }

  // A page that is closed says good-bye with its last breath; killed, it leaves that to the scheduled leave.
  const leave = async () => {
    removeEventListener('pagehide', leave)
    stopFollowing()
    foci.stop()
    await session.leave()
    watch.stop()
    for (const encryption of encryptions) encryption.stop()
  }
  addEventListener('pagehide', leave)

  return {
    endToEnd,
    /** Address of the one that we publish on. */
    focus,
    members: session.store,
    rooms: foci.store,
    keyStates: watch.store,
    nameOf: (userId: string) => session.nameOf(userId),
    /** Whether we may hear who publishes there. */
    reaches,
    /** For the connection to our own focus; null where the call is not end-to-end encrypted. */
    encrypt: () => (endToEnd ? encrypt() : null),
    /** That connection: its failures to decrypt, and its loudspeaker for those elsewhere. */
    attend(room: Room): void {
      watch.watch(room)
      room.on(RoomEvent.ActiveDeviceChanged, (kind, id) => {
        if (kind !== 'audiooutput') return
        for (const other of foci.store.getState().rooms) void other.room.switchActiveDevice(kind, id).catch(() => undefined)
      })
    },
    sendConsent: (content: object) => host.sendEvent(CONSENT, content),
    leave,
  }
}

function remembered(ask: () => Promise<OpenId>, now: () => number = Date.now): () => Promise<OpenId> {
  let token: OpenId | null = null
  let until = 0
  return async () => {
    if (token === null || now() >= until) {
      token = await ask()
      until = now() + token.expires_in * 1000 - TOKEN_MARGIN
    }
    return token
  }
}

