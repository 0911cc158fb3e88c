/**
 * Who is in the call, read from member events with matrix-js-sdk's own parser: expired, left and foreign ones are
 * not, nor is anybody who isn't joined to the room. The sender counts, never the state key, which others can write.
 */
import { CallMembership } from 'matrix-js-sdk/lib/matrixrtc/CallMembership.js'
import './quiet'
import type { RoomEvent } from './events'
import { SLOT } from './events'
import type { RoomState } from './roomState'

export interface Member {
  userId: string
  deviceId: string
  /** The name under which the member's focus knows them. */
  identity: string
  /** Address of the focus on which the member publishes; null: it names none that we understand. */
  focus: string | null
  createdAt: number // ms since the epoch
  /** Ms since the epoch; null: for as long as the event is sticky. */
  expiresAt: number | null
}

/** The library's own form of a membership beside ours: its encryption manager wants it back. */
export interface Membership extends Member {
  source: CallMembership
}

/** Oldest first. One per device: a sticky membership stands in for a state one that was left behind. */
export async function readMembers(state: RoomState, now: number): Promise<Membership[]> {
  const found: CallMembership[] = []
  for (const event of state.memberEvents(now)) {
    const membership = await parse(event)
    if (membership === null || !holds(membership, state, now)) continue
    if (!found.some((other) => sameDevice(other, membership))) found.push(membership)
  }
  found.sort((a, b) => a.createdTs() - b.createdTs())
  return found.map((source) => ({
    userId: source.userId,
    deviceId: source.deviceId,
    identity: source.rtcBackendIdentity,
    focus: focusOf(source, found[0] ?? source),
    createdAt: source.createdTs(),
    expiresAt: source.getAbsoluteExpiry() ?? null,
    source,
  }))
}

async function parse(event: RoomEvent): Promise<CallMembership | null> {
  if (!('application' in event.content)) return null // left
  try {
    return await CallMembership.parseFromEvent(adapted(event))
  } catch {
    return null // Somebody else's malformed event is no trouble of ours.
  }
}

function holds(membership: CallMembership, state: RoomState, now: number): boolean {
  const { application, id } = membership.slotDescription
  if (application !== SLOT.application || id !== SLOT.id) return false
  if ((membership.getAbsoluteExpiry() ?? Infinity) <= now) return false
  return state.joined(membership.userId)
}

function sameDevice(a: CallMembership, b: CallMembership): boolean {
  return a.userId === b.userId && a.deviceId === b.deviceId
}

function focusOf(membership: CallMembership, oldest: CallMembership): string | null {
  const transport = membership.getTransport(oldest)
  const url = transport?.['livekit_service_url']
  return transport?.type === 'livekit' && typeof url === 'string' ? url : null
}

/** As much of the library's event as its parser reads. */
function adapted(event: RoomEvent) {
  return {
    getId: () => event.event_id,
    getSender: () => event.sender,
    getTs: () => event.origin_server_ts,
    getType: () => event.type,
    getContent: <T>() => event.content as T,
  }
}

/** When the next membership ends by itself, in ms since the epoch; null: none does. */
export function nextExpiry(members: readonly Member[]): number | null {
  const ends = members.flatMap(({ expiresAt }) => (expiresAt === null ? [] : [expiresAt]))
  return ends.length === 0 ? null : Math.min(...ends)
}
