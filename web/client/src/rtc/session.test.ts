/** What our widget does in the room and with keys; matrix-js-sdk's managers inside, the client around it by hand. */
import { MatrixError } from 'matrix-js-sdk/lib/http-api/errors.js'
import { WidgetApiResponseError } from 'matrix-widget-api'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ANA, base64, BRUNO, fakeHost, FOCUS, gone, joined, keyMessage, member, NOW } from '../test/matrix'
import { MEDIA_KEYS, MEMBER_STATE, memberStateKey } from './events'
import type { RtcParts } from './session'
import { RtcSession } from './session'

const PEOPLE = [joined(ANA.userId, 'Ana'), joined(BRUNO, 'Bruno')]
const silent = { delay: vi.fn(), failure: vi.fn() }

function made(known = PEOPLE, parts: Partial<RtcParts> = {}) {
  const room = fakeHost(known)
  const session = new RtcSession({
    host: room.host, own: ANA, focus: FOCUS, endToEnd: true, mayDelay: true, delegated: false,
    onDelayId: silent.delay, onFailure: silent.failure, ...parts,
  })
  const keys: [string, number, Uint8Array][] = []
  session.onKey((identity, index, key) => keys.push([identity, index, key]))
  return { ...room, session, keys }
}

/** Time passes, and what it sets off is done. */
const pass = async (ms: number) => await vi.advanceTimersByTimeAsync(ms)

async function inCall(known = PEOPLE, parts: Partial<RtcParts> = {}) {
  const call = made(known, parts)
  const joining = call.session.join()
  await pass(10)
  await joining
  return call
}

const sentKeys = (host: ReturnType<typeof fakeHost>['host']) =>
  host.sendToDevice.mock.calls.map(([type, messages]) => {
    expect(type).toBe(MEDIA_KEYS)
    return Object.entries(messages).flatMap(([user, devices]) =>
      Object.entries(devices).map(([device, content]) => {
        const { keys } = content as unknown as { keys: { index: number; key: string } }
        return { to: `${user}:${device}`, ...keys }
      }),
    )
  })

beforeEach(() => vi.useFakeTimers({ now: NOW }))
afterEach(() => {
  vi.useRealTimers()
  vi.clearAllMocks()
})

test('nothing is written to the console, where people and devices would stand', async () => {
  const written = (['log', 'debug', 'info', 'warn', 'error'] as const).map((level) => vi.spyOn(console, level))
  const { tell, deliver, session } = await inCall([...PEOPLE, member(BRUNO, 'BBB')])
  deliver(keyMessage(BRUNO, 'BBB', 0, base64(1)))
  tell(member(BRUNO, 'BBB', { focus_active: 3 }))
  await pass(5_000)
  await session.leave()
  for (const spy of written) expect(spy).not.toHaveBeenCalled()
  vi.restoreAllMocks()
})

describe('coming in', () => {
  test('schedules the leave first, then says where we publish, for all who read state events', async () => {
    const { host, session } = await inCall()
    expect(host.sendStateLater).toHaveBeenCalledWith(MEMBER_STATE, memberStateKey(ANA), {}, 18_000)
    expect(host.sendStateLater.mock.invocationCallOrder[0]).toBeLessThan(host.sendState.mock.invocationCallOrder[0] ?? 0)
    expect(host.sendState).toHaveBeenCalledWith(MEMBER_STATE, '_@ana:example.org_ANA_m.call', {
      application: 'm.call',
      call_id: '',
      scope: 'm.room',
      device_id: 'ANA',
      membershipID: '@ana:example.org:ANA',
      expires: 14_400_000,
      'm.call.intent': 'video',
      focus_active: { type: 'livekit', focus_selection: 'multi_sfu' },
      foci_preferred: [{ type: 'livekit', livekit_service_url: FOCUS, livekit_alias: ANA.roomId }],
    })
    expect(session.store.getState().members).toMatchObject([{ identity: '@ana:example.org:ANA', focus: FOCUS }])
    await session.leave()
  })

  test('restarts the scheduled leave, seldom where the focus does', async () => {
    const { host, session } = await inCall()
    await pass(9_000)
    expect(host.updateDelayed.mock.calls.length).toBeGreaterThanOrEqual(3)
    await session.leave()
    const other = await inCall(PEOPLE, { delegated: true })
    expect(other.host.sendStateLater.mock.calls[0]?.[3]).toBe(120_000)
    await pass(25_000)
    expect(other.host.updateDelayed.mock.calls.length).toBe(1) // once to see that the join didn’t undo it
    await other.session.leave()
  })

  test('where the client schedules nothing, does without', async () => {
    const { host, session } = await inCall(PEOPLE, { mayDelay: false })
    expect(host.sendStateLater).not.toHaveBeenCalled()
    await session.leave()
    expect(host.sendState).toHaveBeenLastCalledWith(MEMBER_STATE, memberStateKey(ANA), {})
  })

  test('is refused by a room that lets the person send no such event, and leaves nothing behind', async () => {
    const { host, session } = made()
    const error = new MatrixError({ errcode: 'M_FORBIDDEN' }, 403)
    host.sendState.mockRejectedValue(new WidgetApiResponseError('', { matrix_api_error: error.asWidgetApiErrorData() }))
    const refused = expect(session.join()).rejects.toMatchObject({ code: 'call_not_allowed' })
    await pass(100)
    await refused
  })

  test('gives up when the room never knows', async () => {
    const { host, session } = made()
    host.sendState.mockImplementation(() => new Promise(() => undefined))
    const refused = expect(session.join()).rejects.toMatchObject({ code: 'announce_failed' })
    await pass(30_000)
    await refused
  })

  test('takes nothing over from a page that was there before, lest others think we have their keys', async () => {
    const { host, session } = await inCall([...PEOPLE, member(ANA.userId, 'ANA', {}, NOW - 60_000)])
    expect(host.sendState.mock.calls[0]?.[2]).not.toHaveProperty('created_ts')
    await session.leave()
  })
})

describe('keys', () => {
  test('are there before anything is sent, and go to who is in', async () => {
    const { host, session, keys } = await inCall([...PEOPLE, member(BRUNO, 'BBB')])
    expect(keys[0]?.slice(0, 2)).toEqual(['@ana:example.org:ANA', 0])
    expect(keys[0]?.[2]).toHaveLength(16)
    expect(sentKeys(host)).toEqual([[{ to: `${BRUNO}:BBB`, index: 0, key: btoa(String.fromCharCode(...(keys[0]?.[2] ?? []))) }]])
    await session.leave()
  })

  test('of others are given out under the name that the focus has for them', async () => {
    const { deliver, session, keys } = await inCall([...PEOPLE, member(BRUNO, 'BBB')])
    deliver(keyMessage(BRUNO, 'BBB', 4, base64(9)))
    expect(keys.at(-1)).toEqual([`${BRUNO}:BBB`, 4, new Uint8Array(16).fill(9)])
    await session.leave()
  })

  test('that came in clear, or from no member, are not', async () => {
    const { deliver, session, keys } = await inCall([...PEOPLE, member(BRUNO, 'BBB')])
    deliver(keyMessage(BRUNO, 'BBB', 4, base64(9), false))
    deliver(keyMessage('@eve:evil.example', 'BBB', 4, base64(9)))
    deliver(keyMessage(BRUNO, 'OTHER', 4, base64(9)))
    expect(keys).toHaveLength(1)
    await session.leave()
  })

  test('that come before the member event count when it comes', async () => {
    const { deliver, tell, session, keys } = await inCall()
    deliver(keyMessage(BRUNO, 'BBB', 0, base64(9)))
    expect(keys).toHaveLength(1)
    tell(member(BRUNO, 'BBB'))
    await pass(10)
    expect(keys.at(-1)).toEqual([`${BRUNO}:BBB`, 0, new Uint8Array(16).fill(9)])
    await session.leave()
  })

  test('change when somebody leaves: those who stay get the new one a second before it is used', async () => {
    const chloe = member('@chloe:example.org', 'CCC')
    const { host, tell, session, keys } = await inCall([...PEOPLE, joined('@chloe:example.org'), member(BRUNO, 'BBB'), chloe])
    await pass(2_000)
    host.sendToDevice.mockClear()
    tell(gone(chloe))
    await pass(500)
    expect(sentKeys(host)).toMatchObject([[{ to: `${BRUNO}:BBB`, index: 1 }]])
    expect(keys.map(([, index]) => index)).toEqual([0])
    await pass(600)
    expect(keys.map(([, index]) => index)).toEqual([0, 1])
    expect(keys[1]?.[2]).not.toEqual(keys[0]?.[2])
    await session.leave()
  })

  test('stay for who comes within ten seconds, and change for who comes later', async () => {
    const { host, tell, session } = await inCall([...PEOPLE, joined('@chloe:example.org')])
    await pass(5_000)
    tell(member(BRUNO, 'BBB'))
    await pass(10)
    expect(sentKeys(host)).toMatchObject([[{ to: `${BRUNO}:BBB`, index: 0 }]])
    await pass(10_000)
    tell(member('@chloe:example.org', 'CCC'))
    await pass(10)
    expect(sentKeys(host)[1]).toMatchObject([{ index: 1 }, { index: 1 }])
    await session.leave()
  })

  test('are sent again when the client fails to', async () => {
    const { host, tell, session } = await inCall()
    host.sendToDevice.mockRejectedValueOnce(new Error('busy'))
    tell(member(BRUNO, 'BBB'))
    await pass(1_100)
    expect(sentKeys(host)).toHaveLength(2)
    await session.leave()
  })

  test('there are none in a call to the server', async () => {
    const { host, deliver, session, keys } = await inCall([...PEOPLE, member(BRUNO, 'BBB')], { endToEnd: false })
    deliver(keyMessage(BRUNO, 'BBB', 4, base64(9)))
    expect(keys).toEqual([])
    expect(host.sendToDevice).not.toHaveBeenCalled()
    await session.leave()
  })
})

describe('staying and leaving', () => {
  test('whoever’s time is over is out without a word', async () => {
    const { session } = await inCall([...PEOPLE, member(BRUNO, 'BBB', { expires: 60_000 })])
    expect(session.store.getState().members).toHaveLength(2)
    await pass(60_100)
    expect(session.store.getState().members).toMatchObject([{ userId: ANA.userId }])
    await session.leave()
  })

  test('thrown out by a leave that came too early, we announce ourselves again', async () => {
    const { host, tell, session } = await inCall()
    tell(gone(member(ANA.userId, 'ANA')))
    await pass(100)
    expect(host.sendState).toHaveBeenCalledTimes(2)
    expect(session.store.getState().members).toHaveLength(1)
    await session.leave()
  })

  test('leaving sends the scheduled leave now', async () => {
    const { host, session } = await inCall()
    await pass(100)
    await session.leave()
    expect(host.updateDelayed).toHaveBeenLastCalledWith('d1', 'send')
  })

  test('leaving doesn’t wait for a client that has gone', async () => {
    const { host, session } = await inCall()
    host.updateDelayed.mockImplementation(() => new Promise(() => undefined))
    const leaving = session.leave()
    await pass(4_000)
    await leaving
  })
})
