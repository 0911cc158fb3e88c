import { Room, RoomEvent } from 'livekit-client'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ANA, FOCUS } from '../test/matrix'
import { FocusError, focusPass, lookAfterLeave, looksAfterLeaves } from './focus'
import type { Member } from './members'
import { mayReach, OtherFoci } from './otherFoci'

const OPENID = { access_token: 't0ken', token_type: 'Bearer', matrix_server_name: 'example.org', expires_in: 3600 }
const PASS = { url: 'wss://rtc.land.example', jwt: 'j' }
const THEIRS = 'https://rtc.land.example/livekit/jwt'
const answering = (status: number, body: unknown) => vi.fn(async (_url: RequestInfo | URL, _init?: RequestInit) => new Response(JSON.stringify(body), { status }))

describe('a focus', () => {
  test('is asked for a pass as Element Call asks, without cookies', async () => {
    const fetch = answering(200, PASS)
    expect(await focusPass(FOCUS, OPENID, ANA, fetch)).toEqual(PASS)
    const [url, init] = fetch.mock.calls[0] ?? []
    expect(url).toBe(`${FOCUS}/sfu/get`)
    expect(JSON.parse(String(init?.body))).toEqual({ room: ANA.roomId, device_id: 'ANA', openid_token: OPENID })
    expect(init).toMatchObject({ method: 'POST', credentials: 'omit' })
  })

  test('that refuses or answers nonsense gives none', async () => {
    await expect(focusPass(FOCUS, OPENID, ANA, answering(403, {}))).rejects.toEqual(new FocusError(403))
    await expect(focusPass(FOCUS, OPENID, ANA, answering(200, { url: 3 }))).rejects.toBeInstanceOf(FocusError)
    await expect(focusPass(FOCUS, OPENID, ANA, vi.fn(() => Promise.reject(new TypeError())))).rejects.toEqual(new FocusError(0))
  })

  test('looks after leaves unless it doesn’t know the question', async () => {
    expect(await looksAfterLeaves(FOCUS, answering(400, {}))).toBe(true)
    expect(await looksAfterLeaves(FOCUS, answering(404, {}))).toBe(false)
    expect(await looksAfterLeaves(FOCUS, answering(502, {}))).toBe(false)
    expect(await looksAfterLeaves(FOCUS, vi.fn(() => Promise.reject(new TypeError())))).toBe(false)
  })

  test('is given a leave with how long it may take', async () => {
    const fetch = answering(200, PASS)
    await lookAfterLeave(FOCUS, OPENID, ANA, { delayId: 'd1', timeout: 120_000 }, fetch)
    expect(JSON.parse(String(fetch.mock.calls[0]?.[1]?.body))).toMatchObject({ delay_id: 'd1', delay_timeout: 120_000 })
  })
})

test.each([
  [THEIRS, ['https://rtc.land.example'], true],
  [THEIRS, ['https:'], true],
  [THEIRS, [], false],
  [THEIRS, ['https://rtc.land.example:8443'], false],
  ['http://rtc.land.example/jwt', ['https:'], false],
  ['javascript:alert(1)', ['https:'], false],
  ['no address', ['https:'], false],
])('%s with %j listed: %s', (focus, listed, reached) => {
  expect(mayReach(focus, listed)).toBe(reached)
})

describe('connections to other foci', () => {
  const member = (focus: string | null): Member => ({ userId: '@b:f', deviceId: 'B', identity: '@b:f:B', focus, createdAt: 1, expiresAt: null })
  let rooms: Room[]
  let openId: ReturnType<typeof vi.fn<() => Promise<typeof OPENID>>>
  let foci: OtherFoci

  beforeEach(() => {
    vi.useFakeTimers()
    vi.stubGlobal('fetch', answering(200, PASS))
    rooms = []
    openId = vi.fn(async () => OPENID)
    foci = new OtherFoci({
      own: ANA, ownFocus: FOCUS, openId, reaches: (focus) => focus === THEIRS,
      makeRoom: () => {
        const room = new Room()
        vi.spyOn(room, 'connect').mockResolvedValue(undefined)
        vi.spyOn(room, 'disconnect').mockImplementation(async () => void room.emit(RoomEvent.Disconnected))
        rooms.push(room)
        return { room, prepare: async () => undefined, dispose: () => undefined }
      },
    })
  })
  afterEach(() => {
    foci.stop()
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })
  const pass = async (ms = 0) => await vi.advanceTimersByTimeAsync(ms)
  const connected = () => foci.store.getState().rooms.length

  test('are made once for each that somebody publishes on, and for no other', async () => {
    foci.follow([member(FOCUS), member(THEIRS), member(THEIRS), member(null), member('https://evil.example')])
    await pass()
    expect(rooms).toHaveLength(1)
    expect(rooms[0]?.connect).toHaveBeenCalledWith(PASS.url, 'j', expect.anything())
    expect(openId).toHaveBeenCalledTimes(1)
    expect(connected()).toBe(1)
  })

  test('are tried again with growing pauses', async () => {
    vi.stubGlobal('fetch', answering(404, {}))
    foci.follow([member(THEIRS)])
    await pass(8_000)
    expect(rooms).toHaveLength(4) // at once, after 1, 2 and 4 seconds
    expect(connected()).toBe(0)
    vi.stubGlobal('fetch', answering(200, PASS))
    await pass(8_000)
    expect(connected()).toBe(1)
  })

  test('come back when they are lost', async () => {
    foci.follow([member(THEIRS)])
    await pass()
    rooms[0]?.emit(RoomEvent.Disconnected)
    await pass(1_000)
    expect(rooms).toHaveLength(2)
    expect(connected()).toBe(1)
  })

  test('outlast a member who reloads, and end when nobody is there any more', async () => {
    foci.follow([member(THEIRS)])
    await pass()
    foci.follow([])
    await pass(5_000)
    foci.follow([member(THEIRS)])
    await pass(10_000)
    expect(connected()).toBe(1)
    foci.follow([])
    await pass(10_000)
    expect(connected()).toBe(0)
    await pass(60_000)
    expect(rooms).toHaveLength(1)
  })
})
