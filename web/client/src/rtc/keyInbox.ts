/**
 * Which media keys we believe. Pure.
 *
 * A key counts only if it came encrypted (the client around us then vouches for its sender), speaks of this room, is
 * well formed, and belongs to a member of the call: (sender, claimed device) names one. Keys often arrive before the
 * member event does, so those of people who are joined to the room wait for it, within bounds.
 */
import type { ToDeviceMessage } from './events'
import { MEDIA_KEYS } from './events'

export interface ReceivedKey {
  userId: string
  deviceId: string
  memberId: string
  index: number
  /** Standard base64, as it came. */
  key: string
  at: number // ms since the epoch, when it arrived
}

/** Why a key is not believed; counted, never logged with its content. */
export type Refusal = 'other' | 'clear' | 'malformed' | 'stranger' | 'full'

/** The livekit key ring has 256 places. */
const INDEXES = 256
/** 16 bytes today; MSC4143 will have 32. */
const SIZES = [16, 32]
/** Keys that wait for a member event; a large call has fewer people joining at once. */
const MOST_WAITING = 256
/** After this its member event would have come. */
const PATIENCE = 60_000 // ms

export class KeyInbox {
  private waiting: ReceivedKey[] = []

  constructor(
    private readonly roomId: string,
    private readonly isJoined: (userId: string) => boolean,
    private readonly isMember: (userId: string, deviceId: string) => boolean,
  ) {}

  /** The key if it counts now; null if it waits; or why it is refused. */
  take(message: ToDeviceMessage, now: number): ReceivedKey | Refusal | null {
    if (message.type !== MEDIA_KEYS) return 'other'
    if (!message.encrypted) return 'clear'
    const key = parseKey(message, this.roomId, now)
    if (key === null) return 'malformed'
    if (this.isMember(key.userId, key.deviceId)) return key
    if (!this.isJoined(key.userId)) return 'stranger'
    this.waiting = this.waiting.filter((other) => other.at + PATIENCE > now && !samePlace(other, key))
    if (this.waiting.length >= MOST_WAITING) return 'full'
    this.waiting.push(key)
    return null
  }

  /** Those whose member has come meanwhile, in the order of their arrival. */
  release(now: number): ReceivedKey[] {
    const fresh = this.waiting.filter(({ at }) => at + PATIENCE > now)
    const ready = fresh.filter(({ userId, deviceId }) => this.isMember(userId, deviceId))
    this.waiting = fresh.filter((key) => !ready.includes(key))
    return ready
  }
}

function parseKey({ sender, content }: ToDeviceMessage, roomId: string, at: number): ReceivedKey | null {
  const keys = record(content['keys'])
  const member = record(content['member'])
  const { index, key } = keys
  const deviceId = member['claimed_device_id']
  if (content['room_id'] !== roomId) return null
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= INDEXES) return null
  if (typeof key !== 'string' || !SIZES.includes(sizeOf(key))) return null
  if (typeof deviceId !== 'string' || deviceId === '') return null
  const memberId = typeof member['id'] === 'string' ? member['id'] : `${sender}:${deviceId}`
  return { userId: sender, deviceId, memberId, index, key, at }
}

function sizeOf(base64: string): number {
  try {
    return atob(base64).length
  } catch {
    return -1
  }
}

function samePlace(a: ReceivedKey, b: ReceivedKey): boolean {
  return a.userId === b.userId && a.deviceId === b.deviceId && a.index === b.index
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
