import { expect, test } from 'vitest'
import { parseEntrance } from './entrance'

const at = (address: string) => parseEntrance(new URL(address, 'https://meet.example.org'))
const WIDGET = '/widget?widgetId=w1&parentUrl=https%3A%2F%2Fchat.example.org%2Fapp&roomId=!r%3Aexample.org'

test('a link names the meeting', () => {
  expect(at('/m/abc23xyz')).toEqual({ kind: 'link', meetingId: 'abc23xyz' })
  expect(at('/m/abc23xyz/')).toEqual({ kind: 'link', meetingId: 'abc23xyz' })
})

test.each(['/', '/m/', '/m/a%2Fb', '/m/a/b', '/widget', '/x'])('%s leads to no meeting', (path) => {
  expect(at(path)).toEqual({ kind: 'unknown' })
})

test('a widget names its client by origin alone', () => {
  expect(at(`${WIDGET}&userId=@ana:example.org&clientLanguage=de&clientTheme=dark&deviceId=D`)).toEqual({
    kind: 'widget',
    widgetId: 'w1',
    parentOrigin: 'https://chat.example.org',
    roomId: '!r:example.org',
    userId: '@ana:example.org',
    deviceId: 'D',
    language: 'de',
    theme: 'dark',
  })
})

test('variables that the client did not fill in are no values', () => {
  expect(at(`${WIDGET}&clientTheme=$org.matrix.msc2873.client_theme`)).toMatchObject({ theme: '' })
  expect(at('/widget?widgetId=w1&parentUrl=https://a.example&roomId=$matrix_room_id').kind).toBe('unknown')
})

test.each(['javascript:alert(1)', 'data:text/html,x', 'not an address', ''])('a client at «%s» is refused', (parent) => {
  expect(at(`/widget?widgetId=w1&roomId=!r:e&parentUrl=${encodeURIComponent(parent)}`).kind).toBe('unknown')
})
