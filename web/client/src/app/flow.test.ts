import { beforeEach, describe, expect, test, vi } from 'vitest'
import { NOTHING } from '../call/capture'
import { DEFAULT_DEVICES } from '../call/devices'
import type { CallSession } from '../call/session'
import type { MatrixHost } from '../rtc/host'
import type { RtcStay, StayParts } from '../rtc/stay'
import type { Meeting } from './api'
import { Api, ApiError } from './api'
import type { Door } from './flow'
import { Flow, problemOf } from './flow'

const MEETING: Meeting = { id: 'm1', title: 'Budget', mode: 'server', roomEncrypted: true, call: null, capture: NOTHING }
const PASS = { url: 'wss://r', token: 't', identity: 'ana-d1', name: 'Ana', mode: 'server', may: { publish: true, share: true, capture: true, moderate: false } }
const OPENID = { access_token: 't', token_type: 'Bearer', matrix_server_name: 'e', expires_in: 60 }

function made(kind: Door['kind'], dev = true) {
  const api = new Api(() => Promise.reject(new Error('no network in this test')))
  const calls = {
    signInByPassword: vi.spyOn(api, 'signInByPassword').mockResolvedValue({ id: '@ana:e', name: 'Ana' }),
    signInByOpenId: vi.spyOn(api, 'signInByOpenId').mockResolvedValue({ user: { id: '@ana:e', name: 'Ana' }, meetingId: 'm1' }),
    meeting: vi.spyOn(api, 'meeting').mockResolvedValue(MEETING),
    join: vi.spyOn(api, 'join').mockResolvedValue(PASS),
  }
  const bridge = {
    openId: vi.fn(async () => OPENID),
    keepVisible: vi.fn(async () => undefined),
    allow: vi.fn(async (asked: readonly string[]): Promise<ReadonlySet<string>> => new Set(asked)),
    matrix: {} as MatrixHost,
  }
  const door: Door = kind === 'link' ? { kind, meetingId: 'm1' } : { kind, roomId: '!r:e', deviceId: 'DEV', bridge: async () => bridge }
  const session = { connect: vi.fn(async () => undefined), leave: vi.fn(async () => end(null)) }
  const stay = { endToEnd: true, encrypt: vi.fn(() => 'encryption'), attend: vi.fn(), leave: vi.fn(async () => undefined), sendConsent: vi.fn(async () => undefined) }
  const makeStay = vi.fn(async (_parts: StayParts) => stay as unknown as RtcStay)
  const makeSession = vi.fn(async (_devices: unknown, onEnd: typeof end, _encryption: unknown) => {
    end = onEnd
    return session as unknown as CallSession
  })
  let end: (ending: string | null) => void = () => undefined
  let clock = 0
  const flow = new Flow({
    api, door, dev, foci: [], device: 'd1', now: () => clock, makeSession, makeStay,
  })
  return { flow, calls, bridge, session, stay, makeStay, makeSession, end: (ending: string | null) => end(ending), tick: (ms: number) => { clock += ms } }
}

const track = () => ({ stop: vi.fn() }) as unknown as MediaStreamTrack
const tracks = () => ({ microphone: track(), camera: track() })

describe('by link', () => {
  test('one signs in, sees the meeting, and joins with this tab’s device', async () => {
    const { flow, calls, session } = made('link')
    await flow.start()
    expect(flow.screen.getState().name).toBe('signIn')
    await flow.signIn('ana', 'demo')
    expect(flow.screen.getState()).toMatchObject({ name: 'prejoin', person: 'Ana', meeting: MEETING })
    await flow.join(tracks(), DEFAULT_DEVICES)
    expect(calls.join).toHaveBeenCalledWith('m1', 'd1')
    expect(session.connect).toHaveBeenCalledWith('wss://r', 't', expect.anything(), true)
    expect(flow.screen.getState().name).toBe('call')
  })

  test('a wrong password is told on the same form', async () => {
    const { flow, calls } = made('link')
    calls.signInByPassword.mockRejectedValue(new ApiError('wrong_password', 401))
    await flow.start()
    await flow.signIn('ana', 'x')
    expect(flow.screen.getState()).toMatchObject({ name: 'signIn', busy: false, problem: { code: 'wrong_password' } })
  })

  test('a server in real service offers no password', async () => {
    const { flow } = made('link', false)
    await flow.start()
    expect(flow.screen.getState()).toMatchObject({ name: 'error', problem: { code: 'no_sign_in' } })
  })

  test('an ended session leads back to the sign-in', async () => {
    const { flow, calls } = made('link')
    await flow.start()
    await flow.signIn('ana', 'demo')
    calls.meeting.mockRejectedValue(new ApiError('session_expired', 401))
    await flow.refresh()
    expect(flow.screen.getState()).toMatchObject({ name: 'signIn', problem: { code: 'session_expired' } })
  })
})

describe('as a widget', () => {
  test('the Matrix client vouches and nobody types anything', async () => {
    const { flow, calls } = made('widget')
    await flow.start()
    expect(calls.signInByOpenId).toHaveBeenCalledWith(OPENID, '!r:e')
    expect(flow.screen.getState()).toMatchObject({ name: 'prejoin', person: 'Ana' })
  })

  test('a person who isn’t in the room is told so', async () => {
    const { flow, calls } = made('widget')
    calls.signInByOpenId.mockRejectedValue(new ApiError('not_in_room', 403))
    await flow.start()
    expect(flow.screen.getState()).toMatchObject({ name: 'error', problem: { code: 'not_in_room' } })
  })

  test('an ended session is renewed without a word', async () => {
    const { flow, calls } = made('widget')
    await flow.start()
    calls.join.mockRejectedValueOnce(new ApiError('session_expired', 401))
    await flow.join(tracks(), DEFAULT_DEVICES)
    expect(calls.signInByOpenId).toHaveBeenCalledTimes(2)
    expect(flow.screen.getState().name).toBe('call')
  })

  test('the client keeps it on screen while the call runs', async () => {
    const { flow, bridge, end } = made('widget')
    await flow.start()
    await flow.join(tracks(), DEFAULT_DEVICES)
    end(null)
    await vi.waitFor(() => expect(bridge.keepVisible.mock.calls).toEqual([[true], [false]]))
  })
})

describe('in a Matrix client, end to end', () => {
  const E2EE: Meeting = { ...MEETING, mode: 'e2ee' }
  const SEAT = { ...PASS, mode: 'e2ee', identity: '@ana:e:DEV', service_url: 'https://focus' }
  async function before(meeting = E2EE, seat: typeof SEAT = SEAT) {
    const parts = made('widget')
    parts.calls.meeting.mockResolvedValue(meeting)
    parts.calls.join.mockResolvedValue(seat)
    await parts.flow.start()
    return parts
  }

  test('the Matrix device takes the seat, is announced, and only then connects, encrypted', async () => {
    const { flow, calls, makeStay, makeSession, session } = await before()
    await flow.join(tracks(), DEFAULT_DEVICES)
    expect(calls.join).toHaveBeenCalledWith('m1', 'DEV', 'e2ee')
    expect(makeStay).toHaveBeenCalledWith(expect.objectContaining({
      own: { userId: '@ana:e', deviceId: 'DEV', roomId: '!r:e' }, focus: 'https://focus', endToEnd: true,
    }))
    expect(makeSession.mock.calls[0]?.[2]).toBe('encryption')
    expect(makeStay.mock.invocationCallOrder[0]).toBeLessThan(session.connect.mock.invocationCallOrder[0] ?? 0)
    expect(flow.screen.getState().name).toBe('call')
  })

  test('a client that does not allow it is told so, and no seat is taken', async () => {
    const { flow, calls, bridge } = await before()
    bridge.allow.mockResolvedValue(new Set())
    await flow.join(tracks(), DEFAULT_DEVICES)
    expect(flow.screen.getState()).toMatchObject({ name: 'prejoin', problem: { code: 'call_not_shared' } })
    expect(calls.join).not.toHaveBeenCalled()
  })

  test('a call that somebody else opened to the server meanwhile is not entered unasked', async () => {
    const { flow, calls, makeStay, session } = await before(E2EE, { ...SEAT, mode: 'server' })
    calls.meeting.mockResolvedValue(MEETING)
    await flow.join(tracks(), DEFAULT_DEVICES)
    expect(flow.screen.getState()).toMatchObject({ name: 'prejoin', problem: { code: 'mode_changed' }, meeting: { mode: 'server' } })
    expect(makeStay).not.toHaveBeenCalled()
    expect(session.connect).not.toHaveBeenCalled()
  })

  test('whoever leaves, or cannot connect, is withdrawn from the room', async () => {
    const { flow, session, stay } = await before()
    session.connect.mockRejectedValueOnce(new ApiError('relay_unreachable', 0))
    await flow.join(tracks(), DEFAULT_DEVICES)
    expect(stay.leave).toHaveBeenCalledTimes(1)
    await flow.join(tracks(), DEFAULT_DEVICES)
    await flow.leave()
    expect(stay.leave).toHaveBeenCalledTimes(2)
    expect(flow.screen.getState().name).toBe('ended')
  })

  test('when the room takes our event no more, the call ends with the reason', async () => {
    const { flow, makeStay } = await before()
    await flow.join(tracks(), DEFAULT_DEVICES)
    makeStay.mock.calls[0]?.[0].onFailure('call_not_allowed')
    await vi.waitFor(() => expect(flow.screen.getState()).toMatchObject({ name: 'ended', summary: { problem: { code: 'call_not_allowed' } } }))
  })

  test('end-to-end, a yes is an event and nothing else, and a no takes every way there is', async () => {
    const { flow, session, stay } = await before()
    Object.assign(session, { room: { metadata: JSON.stringify({ call: 'c1' }) } })
    await flow.join(tracks(), DEFAULT_DEVICES)
    const put = vi.spyOn(flow.api, 'answerConsent').mockResolvedValue(undefined)
    await flow.answerConsent(['recording'], 'yes')
    expect(stay.sendConsent).toHaveBeenLastCalledWith({ call: 'c1', answers: { recording: 'yes' } })
    expect(put).not.toHaveBeenCalled()
    await flow.answerConsent(['recording'], 'no')
    expect(stay.sendConsent).toHaveBeenLastCalledWith({ call: 'c1', answers: { recording: 'no' } })
    expect(put).toHaveBeenCalledWith('m1', ['recording'], 'no')
    put.mockRejectedValue(new ApiError('unreachable', 0))
    await flow.answerConsent(['recording'], 'no')
    stay.sendConsent.mockRejectedValue(new Error('not allowed'))
    await expect(flow.answerConsent(['recording'], 'no')).rejects.toMatchObject({ code: 'unreachable' })
    await expect(flow.answerConsent(['recording'], 'yes')).rejects.toMatchObject({ code: 'consent_not_sent' })
  })

  test('end-to-end, an earlier part is taken out by the event and by the server, whose refusal counts', async () => {
    const { flow, session, stay } = await before()
    Object.assign(session, { room: { metadata: JSON.stringify({ call: 'c1' }) } })
    await flow.join(tracks(), DEFAULT_DEVICES)
    const put = vi.spyOn(flow.api, 'removeEarlier').mockResolvedValue(undefined)
    await flow.removeEarlier(['recording'])
    expect(stay.sendConsent).toHaveBeenLastCalledWith({ call: 'c1', answers: { recording: 'no' }, earlier: 'remove' })
    expect(put).toHaveBeenCalledWith('m1', ['recording'])
    put.mockRejectedValue(new ApiError('unreachable', 0))
    await flow.removeEarlier(['recording'])
    put.mockRejectedValue(new ApiError('forget_too_late', 409))
    await expect(flow.removeEarlier(['recording'])).rejects.toMatchObject({ code: 'forget_too_late' })
    stay.sendConsent.mockRejectedValue(new Error('not allowed'))
    put.mockRejectedValue(new ApiError('unreachable', 0))
    await expect(flow.removeEarlier(['recording'])).rejects.toMatchObject({ code: 'unreachable' })
  })

  test('end-to-end, whoever starts a recording agrees by an event of their own', async () => {
    const { flow, session, stay } = await before()
    Object.assign(session, { room: { metadata: JSON.stringify({ call: 'c1' }) } })
    await flow.join(tracks(), DEFAULT_DEVICES)
    vi.spyOn(flow.api, 'startCapture').mockResolvedValue({ recording: null, transcription: null })
    await flow.startCapture(['recording'])
    expect(stay.sendConsent).toHaveBeenCalledWith({ call: 'c1', answers: { recording: 'yes' } })
  })

  test('in a room without encryption one is announced too, but joins all the same where the client won’t', async () => {
    const clear = { ...MEETING, roomEncrypted: false }
    const seat = { ...SEAT, mode: 'server' }
    const announced = await before(clear, seat)
    await announced.flow.join(tracks(), DEFAULT_DEVICES)
    expect(announced.makeStay).toHaveBeenCalledWith(expect.objectContaining({ endToEnd: false }))
    const silent = await before(clear, { ...seat, service_url: '' })
    silent.bridge.allow.mockResolvedValue(new Set())
    await silent.flow.join(tracks(), DEFAULT_DEVICES)
    expect(silent.calls.join).toHaveBeenCalledWith('m1', 'd1')
    expect(silent.makeStay).not.toHaveBeenCalled()
    expect(silent.flow.screen.getState().name).toBe('call')
  })

  test('the client is asked for no more than a call needs', async () => {
    const { flow, bridge } = await before()
    await flow.join(tracks(), DEFAULT_DEVICES)
    expect(bridge.allow.mock.calls[0]?.[0]).toEqual([
      'org.matrix.msc2762.timeline:!r:e',
      'org.matrix.msc2762.receive.state_event:org.matrix.msc3401.call.member',
      'org.matrix.msc2762.receive.state_event:m.room.member',
      'org.matrix.msc2762.send.state_event:org.matrix.msc3401.call.member#_@ana:e_DEV_m.call',
      'org.matrix.msc3819.send.to_device:io.element.call.encryption_keys',
      'org.matrix.msc3819.receive.to_device:io.element.call.encryption_keys',
      'org.matrix.msc4157.send.delayed_event',
      'org.matrix.msc4157.update_delayed_event',
      'org.matrix.msc4407.receive.sticky_event',
      'org.matrix.msc2762.receive.event:org.matrix.msc4143.rtc.member',
      'org.matrix.msc2762.send.event:org.palabre.consent',
    ])
  })
})

describe('the call', () => {
  let parts: ReturnType<typeof made>
  beforeEach(async () => {
    parts = made('link')
    await parts.flow.start()
    await parts.flow.signIn('ana', 'demo')
  })

  test('that refuses us stops camera and microphone and says why', async () => {
    parts.calls.join.mockRejectedValue(new ApiError('call_forbidden', 403))
    const running = tracks()
    await parts.flow.join(running, DEFAULT_DEVICES)
    expect(running.camera.stop).toHaveBeenCalled()
    expect(running.microphone.stop).toHaveBeenCalled()
    expect(parts.flow.screen.getState()).toMatchObject({ name: 'prejoin', problem: { code: 'call_forbidden' } })
  })

  test('leaves behind how long it was and what was captured', async () => {
    await parts.flow.join(tracks(), DEFAULT_DEVICES)
    parts.flow.noteCapture('c1', { recording: { by: 'x', since: 1 }, transcription: null }, [])
    parts.flow.noteCapture('c1', NOTHING, ['recording'])
    parts.tick(125_000)
    parts.end('duplicate_identity')
    expect(parts.flow.screen.getState()).toMatchObject({
      name: 'ended',
      summary: { seconds: 125, captured: ['recording'], kept: ['recording'], problem: { code: 'duplicate_identity' } },
    })
    expect(parts.flow.call).toBeNull()
    expect(parts.flow.keptBefore('c1')).toEqual(['recording'])
    expect(parts.flow.keptBefore('c2')).toEqual([]) // another call, in which nothing of theirs is
    expect(parts.flow.keptBefore(null)).toEqual([])
  })

  test('lets one have one’s part removed during it and after it, by the server alone', async () => {
    const remove = vi.spyOn(parts.flow.api, 'removeEarlier').mockResolvedValue(undefined)
    await parts.flow.join(tracks(), DEFAULT_DEVICES)
    await parts.flow.removeEarlier(['recording'])
    parts.flow.noteCapture('c1', NOTHING, ['transcription'])
    parts.end(null)
    await parts.flow.removeEarlier(['transcription'])
    expect(parts.flow.keptBefore('c1')).toEqual([])
    expect(remove.mock.calls).toEqual([['m1', ['recording']], ['m1', ['transcription']]])
    expect(parts.stay.sendConsent).not.toHaveBeenCalled()
  })

  test('can be entered again', async () => {
    await parts.flow.join(tracks(), DEFAULT_DEVICES)
    parts.end(null)
    await parts.flow.back()
    expect(parts.flow.screen.getState()).toMatchObject({ name: 'prejoin', problem: null })
  })
})

test('an error without a code is the page’s own fault', () => {
  expect(problemOf(new TypeError('undefined is not a function'))).toEqual({ code: 'page_failed' })
})
