/** The Matrix events of a MatrixRTC call (MSC4143, MSC3401), and what a widget may ask its client for. Pure. */

export const MEMBER_STATE = 'org.matrix.msc3401.call.member'
export const MEMBER_STICKY = 'org.matrix.msc4143.rtc.member'
export const ROOM_MEMBER = 'm.room.member'
export const MEDIA_KEYS = 'io.element.call.encryption_keys'
export const CONSENT = 'org.palabre.consent'

/** The one call that a room has. State events still spell its id "" (MSC3401), sticky ones "ROOM". */
export const SLOT = { application: 'm.call', id: 'ROOM' } as const
export const SLOT_ID = 'm.call#ROOM'

/** An event as Matrix clients hand it to widgets. */
export interface RoomEvent {
  type: string
  sender: string
  event_id: string
  room_id: string
  state_key?: string
  origin_server_ts: number
  content: Record<string, unknown>
  sticky?: { duration_ms: number }
  msc4354_sticky?: { duration_ms: number }
}

/** `encrypted`: the client received it encrypted, so that `sender` is proven. */
export interface ToDeviceMessage {
  type: string
  sender: string
  content: Record<string, unknown>
  encrypted: boolean
}

/** Who and where we are: the person's Matrix id and the device of the client around us. */
export interface OwnDevice {
  userId: string
  deviceId: string
  roomId: string
}

/** The state key that MSC3401 gives each device; without the underscore it would have to be a user id. */
export function memberStateKey({ userId, deviceId }: OwnDevice): string {
  return `_${userId}_${deviceId}_m.call`
}

/** The name that a focus knows a state member by. */
export function stateIdentity({ userId, deviceId }: Pick<OwnDevice, 'userId' | 'deviceId'>): string {
  return `${userId}:${deviceId}`
}

/** Clients show the person one line for each, so there is none that isn't used. */
export function capabilitiesFor(own: OwnDevice, endToEnd: boolean): { needed: string[]; useful: string[] } {
  const needed = [
    `org.matrix.msc2762.timeline:${own.roomId}`,
    `org.matrix.msc2762.receive.state_event:${MEMBER_STATE}`,
    `org.matrix.msc2762.receive.state_event:${ROOM_MEMBER}`,
    `org.matrix.msc2762.send.state_event:${MEMBER_STATE}#${memberStateKey(own)}`,
  ]
  // Without these a page that is killed stays listed for a while, and newer clients are not seen.
  const useful = [
    'org.matrix.msc4157.send.delayed_event',
    'org.matrix.msc4157.update_delayed_event',
    'org.matrix.msc4407.receive.sticky_event',
    `org.matrix.msc2762.receive.event:${MEMBER_STICKY}`,
  ]
  if (endToEnd) {
    needed.push(`org.matrix.msc3819.send.to_device:${MEDIA_KEYS}`, `org.matrix.msc3819.receive.to_device:${MEDIA_KEYS}`)
    useful.push(`org.matrix.msc2762.send.event:${CONSENT}`)
  }
  return { needed, useful }
}
