import { ConnectionError, DisconnectReason } from 'livekit-client'
import { expect, test } from 'vitest'
import { PROBLEMS } from '../features/problem/problems'
import { endingOf, refusalOf } from './reasons'

test('leaving by oneself is no problem', () => {
  expect(endingOf(DisconnectReason.CLIENT_INITIATED)).toBeNull()
})

test.each([
  [DisconnectReason.DUPLICATE_IDENTITY, 'duplicate_identity'],
  [DisconnectReason.PARTICIPANT_REMOVED, 'removed'],
  [DisconnectReason.ROOM_DELETED, 'room_closed'],
  [DisconnectReason.ROOM_CLOSED, 'room_closed'],
  [DisconnectReason.SERVER_SHUTDOWN, 'server_shutdown'],
  [undefined, 'connection_lost'],
])('LiveKit reason %s is told as %s', (reason, code) => {
  expect(endingOf(reason)).toBe(code)
})

test('a reason of a later protocol is a lost connection', () => {
  expect(endingOf(9999 as DisconnectReason)).toBe('connection_lost')
})

test('every ending has its words', () => {
  for (const reason of Object.values(DisconnectReason)) {
    if (typeof reason !== 'number') continue
    const code = endingOf(reason)
    if (code !== null) expect(Object.keys(PROBLEMS)).toContain(code)
  }
})

test.each([
  [ConnectionError.notAllowed('no', 401), 'token_refused'],
  [ConnectionError.notAllowed('no such room', 404), 'room_closed'],
  [ConnectionError.serverUnreachable('no'), 'relay_unreachable'],
  [ConnectionError.websocket('no'), 'relay_unreachable'],
  [ConnectionError.timeout('no'), 'media_blocked'],
  [ConnectionError.leaveRequest('no', DisconnectReason.DUPLICATE_IDENTITY), 'duplicate_identity'],
  [ConnectionError.internal('no'), 'connection_failed'],
  [new Error('anything'), 'connection_failed'],
])('a refused connection (%s) is told as %s', (error, code) => {
  expect(refusalOf(error)).toBe(code)
  expect(Object.keys(PROBLEMS)).toContain(code)
})
