import { beforeEach, expect, test } from 'vitest'
import { base64, BRUNO, keyMessage, NOW, ROOM } from '../test/matrix'
import type { ToDeviceMessage } from './events'
import { KeyInbox } from './keyInbox'

let members: string[]
let inbox: KeyInbox
beforeEach(() => {
  members = [`${BRUNO}:BBB`]
  inbox = new KeyInbox(ROOM, (user) => user === BRUNO, (user, device) => members.includes(`${user}:${device}`))
})
const KEY = base64(7)
const changed = (change: (content: Record<string, Record<string, unknown>>) => void): ToDeviceMessage => {
  const message = keyMessage(BRUNO, 'BBB', 0, KEY)
  change(message.content as Record<string, Record<string, unknown>>)
  return message
}

test('a member’s key counts at once', () => {
  expect(inbox.take(keyMessage(BRUNO, 'BBB', 3, KEY), NOW)).toMatchObject({ userId: BRUNO, deviceId: 'BBB', index: 3, key: KEY })
})

test('a key that came in clear is refused, whoever it names', () => {
  expect(inbox.take(keyMessage(BRUNO, 'BBB', 0, KEY, false), NOW)).toBe('clear')
})

test('a key of somebody who isn’t in the room is refused', () => {
  expect(inbox.take(keyMessage('@eve:evil.example', 'BBB', 0, KEY), NOW)).toBe('stranger')
})

test('a key for a device that isn’t in the call waits, and counts when it is', () => {
  expect(inbox.take(keyMessage(BRUNO, 'CCC', 0, KEY), NOW)).toBeNull()
  expect(inbox.release(NOW)).toEqual([])
  members.push(`${BRUNO}:CCC`)
  expect(inbox.release(NOW + 5_000)).toMatchObject([{ deviceId: 'CCC', at: NOW }])
  expect(inbox.release(NOW + 5_000)).toEqual([])
})

test('of two keys for the same place the later counts, and none for ever', () => {
  inbox.take(keyMessage(BRUNO, 'CCC', 0, base64(1)), NOW)
  inbox.take(keyMessage(BRUNO, 'CCC', 0, base64(2)), NOW + 1)
  inbox.take(keyMessage(BRUNO, 'DDD', 0, KEY), NOW)
  members.push(`${BRUNO}:CCC`, `${BRUNO}:DDD`)
  expect(inbox.release(NOW + 60_000)).toMatchObject([{ key: base64(2) }])
})

test('somebody who sends keys without end fills nothing', () => {
  for (let device = 0; device < 256; device++) inbox.take(keyMessage(BRUNO, `X${device}`, 0, KEY), NOW)
  expect(inbox.take(keyMessage(BRUNO, 'Y', 0, KEY), NOW)).toBe('full')
  expect(inbox.take(keyMessage(BRUNO, 'BBB', 0, KEY), NOW)).toMatchObject({ deviceId: 'BBB' })
})

test.each([
  ['another room', changed((content) => Object.assign(content, { room_id: '!other:e' }))],
  ['an index beyond the ring', changed((content) => Object.assign(content['keys'] ?? {}, { index: 256 }))],
  ['half an index', changed((content) => Object.assign(content['keys'] ?? {}, { index: 0.5 }))],
  ['a short key', changed((content) => Object.assign(content['keys'] ?? {}, { key: base64(1, 15) }))],
  ['no base64', changed((content) => Object.assign(content['keys'] ?? {}, { key: '%%%' }))],
  ['no device', changed((content) => Object.assign(content['member'] ?? {}, { claimed_device_id: '' }))],
  ['nothing at all', { ...keyMessage(BRUNO, 'BBB', 0, KEY), content: {} }],
])('a key with %s is malformed', (_what, message) => {
  expect(inbox.take(message, NOW)).toBe('malformed')
})

test('messages about other things are none of its business', () => {
  expect(inbox.take({ ...keyMessage(BRUNO, 'BBB', 0, KEY), type: 'm.room_key' }, NOW)).toBe('other')
})
