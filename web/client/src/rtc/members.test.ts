import { beforeEach, describe, expect, test, vi } from 'vitest'
import { ANA, BRUNO, FOCUS, gone, joined, member, NOW, ROOM, stickyMember } from '../test/matrix'
import { memberStateKey, stateIdentity } from './events'
import { nextExpiry, readMembers } from './members'
import { RoomState } from './roomState'

let room: RoomState
beforeEach(() => {
  vi.useFakeTimers({ now: NOW, toFake: ['Date'] })
  room = new RoomState(ROOM)
  room.take(joined(BRUNO, 'Bruno'))
  return () => vi.useRealTimers()
})
const read = (now = NOW) => readMembers(room, now)

describe('a member', () => {
  test('is who sent the event, known to the focus by user and device', async () => {
    room.take(member(BRUNO, 'BBB'))
    expect(await read()).toMatchObject([{ userId: BRUNO, deviceId: 'BBB', identity: `${BRUNO}:BBB`, focus: FOCUS, createdAt: NOW }])
    expect(room.nameOf(BRUNO)).toBe('Bruno')
  })

  test('is not whom the state key names', async () => {
    room.take(joined(ANA.userId))
    room.take({ ...member(BRUNO, 'BBB'), state_key: memberStateKey(ANA) })
    expect((await read()).map(({ userId }) => userId)).toEqual([BRUNO])
  })

  test('with a sticky event has a name on the focus that tells nobody', async () => {
    // The vector that Element Call computed for the same three.
    const bob = '@bob7416:ec.localhost'
    room.take(joined(bob))
    room.take(stickyMember(bob, 'DEVBOB', `${bob}:DEVBOB`))
    expect(await read()).toMatchObject([{ identity: 'D39jciEhzxeJ2aGqV+1P+o2txbc/061nqxsq2TWXdqw', expiresAt: null }])
  })

  test('with both kinds is one, the sticky one', async () => {
    room.take(member(BRUNO, 'BBB'))
    room.take(stickyMember(BRUNO, 'BBB', 'id'))
    expect(await read()).toHaveLength(1)
    expect((await read())[0]?.identity).toHaveLength(43)
  })

  test('of the older kind of call publishes where the oldest does', async () => {
    const legacy = { focus_active: { type: 'livekit', focus_selection: 'oldest_membership' } }
    const elsewhere = { foci_preferred: [{ type: 'livekit', livekit_service_url: 'https://rtc.land.example' }] }
    room.take(joined(ANA.userId))
    room.take(member(BRUNO, 'BBB', { ...legacy, ...elsewhere }, NOW - 5_000))
    room.take(member(ANA.userId, 'ANA', legacy))
    expect((await read()).map(({ focus }) => focus)).toEqual(['https://rtc.land.example', 'https://rtc.land.example'])
  })
})

describe('nobody is a member', () => {
  test('who left', async () => {
    const event = member(BRUNO, 'BBB')
    room.take(event)
    room.take(gone(event))
    expect(await read()).toEqual([])
  })

  test('whose time is over', async () => {
    room.take(member(BRUNO, 'BBB', { expires: 60_000 }))
    expect(nextExpiry(await read())).toBe(NOW + 60_000)
    expect(await read(NOW + 60_000)).toEqual([])
  })

  test('whose sticky event has run out, however long it says it lasts', async () => {
    room.take({ ...stickyMember(BRUNO, 'BBB', 'id'), msc4354_sticky: { duration_ms: 1e12 } })
    expect(await read(NOW + 3_599_000)).toHaveLength(1)
    expect(await read(NOW + 3_600_000)).toEqual([])
  })

  test('who isn’t joined to the room', async () => {
    room.take(member(BRUNO, 'BBB'))
    room.take(joined(BRUNO, 'Bruno', 'ban'))
    expect(await read()).toEqual([])
  })

  test('of another call, another room, or in a shape that nobody knows', async () => {
    room.take(member(BRUNO, 'A', { call_id: 'breakout' }))
    room.take({ ...member(BRUNO, 'B'), room_id: '!other:example.org' })
    room.take(member(BRUNO, 'C', { focus_active: 3 }))
    room.take(member(BRUNO, 'D', { device_id: 7 }))
    expect(await read()).toEqual([])
  })
})

test('our own names are those that other clients expect', () => {
  expect(memberStateKey(ANA)).toBe('_@ana:example.org_ANA_m.call')
  expect(stateIdentity(ANA)).toBe('@ana:example.org:ANA')
})
