import { beforeEach, describe, expect, test, vi } from 'vitest'
import { NOTHING } from '../call/capture'
import { DEFAULT_DEVICES } from '../call/devices'
import type { CallSession } from '../call/session'
import type { Meeting } from './api'
import { Api, ApiError } from './api'
import type { Door } from './flow'
import { Flow, problemOf } from './flow'

const MEETING: Meeting = { id: 'm1', title: 'Budget', mode: 'server', roomEncrypted: true, call: null, capture: NOTHING }
const PASS = { url: 'wss://r', token: 't', identity: 'ana-d1', name: 'Ana', mode: 'server', may: { publish: true, capture: true, moderate: false } }
const OPENID = { access_token: 't', token_type: 'Bearer', matrix_server_name: 'e', expires_in: 60 }

function made(kind: Door['kind'], dev = true) {
  const api = new Api(() => Promise.reject(new Error('no network in this test')))
  const calls = {
    signInByPassword: vi.spyOn(api, 'signInByPassword').mockResolvedValue({ id: '@ana:e', name: 'Ana' }),
    signInByOpenId: vi.spyOn(api, 'signInByOpenId').mockResolvedValue({ user: { id: '@ana:e', name: 'Ana' }, meetingId: 'm1' }),
    meeting: vi.spyOn(api, 'meeting').mockResolvedValue(MEETING),
    join: vi.spyOn(api, 'join').mockResolvedValue(PASS),
  }
  const bridge = { openId: vi.fn(async () => OPENID), keepVisible: vi.fn(async () => undefined) }
  const door: Door = kind === 'link' ? { kind, meetingId: 'm1' } : { kind, roomId: '!r:e', bridge: async () => bridge }
  const session = { connect: vi.fn(async () => undefined), leave: vi.fn(async () => undefined) }
  let end: (ending: string | null) => void = () => undefined
  let clock = 0
  const flow = new Flow({
    api, door, dev, device: 'd1', now: () => clock,
    makeSession: async (_devices, onEnd) => { end = onEnd; return session as unknown as CallSession },
  })
  return { flow, calls, bridge, session, end: (ending: string | null) => end(ending), tick: (ms: number) => { clock += ms } }
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
    parts.flow.noteCapture({ recording: { by: 'x', since: 1 }, transcription: null })
    parts.flow.noteCapture(NOTHING)
    parts.tick(125_000)
    parts.end('duplicate_identity')
    expect(parts.flow.screen.getState()).toMatchObject({
      name: 'ended',
      summary: { seconds: 125, captured: ['recording'], problem: { code: 'duplicate_identity' } },
    })
    expect(parts.flow.call).toBeNull()
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
