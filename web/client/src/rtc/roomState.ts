/**
 * What the Matrix client has told of the room: who is joined under which name, and the call's member events.
 *
 * Pure: `now` is passed in. Events are taken in the order in which the client hands them over, which is the order in
 * which it applies them itself.
 */
import type { RoomEvent } from './events'
import { MEMBER_STATE, MEMBER_STICKY, ROOM_MEMBER } from './events'

/** What MSC4354 lets an event be sticky for at most. */
const LONGEST_STICKY = 3_600_000 // ms

export class RoomState {
  private readonly people = new Map<string, RoomEvent>()
  private readonly members = new Map<string, RoomEvent>()
  private readonly sticky = new Map<string, RoomEvent>()

  constructor(private readonly roomId: string) {}

  /** Takes a state event, or a sticky one. Whether it may have changed who is in the call. */
  take(event: RoomEvent): boolean {
    if (event.room_id !== this.roomId) return false // always on screen: the client may be in another room
    if (event.state_key === undefined) return this.takeSticky(event)
    if (event.type === ROOM_MEMBER) this.people.set(event.state_key, event)
    else if (event.type === MEMBER_STATE) this.members.set(event.state_key, event)
    else return false
    return true
  }

  private takeSticky(event: RoomEvent): boolean {
    const key = event.content['msc4354_sticky_key'] ?? event.content['sticky_key']
    if (event.type !== MEMBER_STICKY || duration(event) === 0 || typeof key !== 'string') return false
    const place = JSON.stringify([event.sender, key])
    const known = this.sticky.get(place)
    if (known !== undefined && known.origin_server_ts > event.origin_server_ts) return false
    this.sticky.set(place, event)
    return true
  }

  joined(userId: string): boolean {
    return this.people.get(userId)?.content['membership'] === 'join'
  }

  /** The display name in this room, or null. */
  nameOf(userId: string): string | null {
    const name = this.people.get(userId)?.content['displayname']
    return typeof name === 'string' && name.trim() !== '' ? name : null
  }

  /** Member events that may still hold; sticky ones first, as newer clients send them. */
  memberEvents(now: number): RoomEvent[] {
    const sticky = [...this.sticky.values()].filter((event) => event.origin_server_ts + duration(event) > now)
    return [...sticky, ...this.members.values()]
  }
}

function duration(event: RoomEvent): number {
  const given = event.sticky?.duration_ms ?? event.msc4354_sticky?.duration_ms ?? 0
  return Number.isFinite(given) ? Math.min(Math.max(given, 0), LONGEST_STICKY) : 0
}
