/** A Matrix room for MatrixRTC tests: the client around the widget, by hand, and other people's events. */
import { vi } from 'vitest'
import type { OwnDevice, RoomEvent, ToDeviceMessage } from '../rtc/events'
import { MEDIA_KEYS, MEMBER_STATE, MEMBER_STICKY, ROOM_MEMBER } from '../rtc/events'
import type { MatrixHost, MatrixListener } from '../rtc/host'

export const ROOM = '!room:example.org'
export const FOCUS = 'https://rtc.example.org/livekit/jwt'
export const ANA: OwnDevice = { userId: '@ana:example.org', deviceId: 'ANA', roomId: ROOM }
export const BRUNO = '@bruno:land.example'
export const NOW = 1_800_000_000_000

let count = 0

export function joined(userId: string, name = '', membership = 'join'): RoomEvent {
  return event({ type: ROOM_MEMBER, sender: userId, state_key: userId, content: { membership, displayname: name } })
}

export function member(userId: string, device: string, content: Record<string, unknown> = {}, at = NOW): RoomEvent {
  return event({
    type: MEMBER_STATE,
    sender: userId,
    state_key: `_${userId}_${device}_m.call`,
    origin_server_ts: at,
    content: {
      application: 'm.call',
      call_id: '',
      scope: 'm.room',
      device_id: device,
      expires: 14_400_000,
      focus_active: { type: 'livekit', focus_selection: 'multi_sfu' },
      foci_preferred: [{ type: 'livekit', livekit_service_url: FOCUS, livekit_alias: ROOM }],
      ...content,
    },
  })
}

export function stickyMember(userId: string, device: string, id: string, at = NOW): RoomEvent {
  return event({
    type: MEMBER_STICKY,
    sender: userId,
    origin_server_ts: at,
    msc4354_sticky: { duration_ms: 3_600_000 },
    content: {
      slot_id: 'm.call#ROOM',
      application: { type: 'm.call' },
      transports: { published: [{ type: 'livekit', livekit_service_url: FOCUS }], can_subscribe: ['livekit'] },
      member: { user_id: userId, device_id: device, id },
      versions: [],
      msc4354_sticky_key: id,
    },
  })
}

/** Nobody is a member any more whose event says nothing. */
export function gone(before: RoomEvent): RoomEvent {
  return { ...before, event_id: `$gone${++count}`, content: {} }
}

export function keyMessage(sender: string, device: string, index: number, key: string, encrypted = true): ToDeviceMessage {
  const content = { keys: { index, key }, room_id: ROOM, member: { claimed_device_id: device, id: `${sender}:${device}` } }
  return { type: MEDIA_KEYS, sender, content, encrypted }
}

export const base64 = (byte: number, length = 16) => btoa(String.fromCharCode(byte).repeat(length))

/** Remembers what was asked of it; state that is sent comes back as the room's word. */
export function fakeHost(known: RoomEvent[] = []) {
  let listener: MatrixListener = { events: () => undefined, toDevice: () => undefined }
  const openid = { access_token: 't', token_type: 'Bearer', matrix_server_name: 'example.org', expires_in: 3600 }
  const host = {
    openId: vi.fn(async () => openid),
    listen: vi.fn((given: MatrixListener) => {
      listener = given
      given.events(known)
      return () => undefined
    }),
    stateKnown: vi.fn(async () => undefined),
    sendState: vi.fn(async (_type: string, _key: string, _content: object) => ({ eventId: `$own${++count}` })),
    sendStateLater: vi.fn(async (_type: string, _key: string, _content: object, _delay: number) => ({ delayId: 'd1' })),
    updateDelayed: vi.fn(async () => undefined),
    sendEvent: vi.fn(async () => undefined),
    sendToDevice: vi.fn(async (_type: string, _messages: Record<string, Record<string, object>>) => undefined),
  } satisfies MatrixHost
  return {
    host,
    tell: (...events: RoomEvent[]) => listener.events(events),
    deliver: (message: ToDeviceMessage) => listener.toDevice(message),
  }
}

function event(parts: Partial<RoomEvent> & Pick<RoomEvent, 'type' | 'sender' | 'content'>): RoomEvent {
  return { event_id: `$e${++count}`, room_id: ROOM, origin_server_ts: NOW, ...parts }
}
