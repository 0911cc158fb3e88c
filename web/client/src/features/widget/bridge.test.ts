import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { WidgetEntrance } from '../../app/entrance'
import { connectWidget } from './bridge'
import { guardMessages } from './gate'
import { forgetListeners } from '../../test/listeners'

const ORIGIN = 'https://chat.example.org'
const ENTRANCE: WidgetEntrance = {
  kind: 'widget', widgetId: 'w1', parentOrigin: ORIGIN, roomId: '!r:e', userId: '@ana:e', deviceId: 'D', language: 'fr', theme: '',
}
interface Message { api: string; requestId: string; action: string; data: Record<string, unknown>; response?: unknown }

/** A Matrix client's side of the conversation, by hand: answers requests and asks what every client asks. */
class FakeClient {
  readonly sent: Message[] = []
  readonly targets = new Set<string>()
  token: Record<string, unknown> = { state: 'allowed', access_token: 't0ken', matrix_server_name: 'e', token_type: 'Bearer', expires_in: 3600 }

  constructor(private readonly source: Window) {}

  postMessage = (message: Message, target: string) => {
    this.sent.push(message)
    this.targets.add(target)
    if (message.response !== undefined) {
      if (message.action === 'capabilities') this.ask('notify_capabilities', { requested: ['m.always_on_screen'], approved: ['m.always_on_screen'] })
      return
    }
    const answers: Record<string, unknown> = {
      supported_api_versions: { supported_versions: ['0.0.2', 'org.matrix.msc2871', 'org.matrix.msc2974', 'org.matrix.msc2762_update_state'] },
      get_openid: this.token,
      set_always_on_screen: { success: true },
      content_loaded: {},
    }
    this.say({ ...message, response: answers[message.action] ?? {} })
  }

  ask(action: string, data: Record<string, unknown>) {
    this.say({ api: 'toWidget', widgetId: 'w1', requestId: `r-${action}`, action, data })
  }

  answerTo(action: string): Message | undefined {
    return this.sent.find((message) => message.action === action && message.response !== undefined)
  }

  private say(data: object) {
    queueMicrotask(() => window.dispatchEvent(new MessageEvent('message', { data, origin: ORIGIN, source: this.source })))
  }
}

let client: FakeClient
const events = { theme: vi.fn(), language: vi.fn() }

beforeEach(() => {
  const frame = document.createElement('iframe')
  document.body.append(frame)
  const source = frame.contentWindow as Window
  client = new FakeClient(source)
  source.postMessage = client.postMessage as never
  vi.stubGlobal('parent', source)
  for (const level of ['log', 'warn', 'error', 'info', 'debug'] as const) vi.spyOn(console, level).mockImplementation(() => undefined)
})

afterEach(() => {
  forgetListeners()
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

async function connected() {
  const gate = guardMessages(ORIGIN)
  client.ask('capabilities', {}) // before the bridge is there, as Element does
  return await connectWidget(ENTRANCE, gate, events)
}

test('asks for no more than to stay on screen, and gets the person’s token', async () => {
  const bridge = await connected()
  expect(client.answerTo('capabilities')?.response).toEqual({ capabilities: ['m.always_on_screen'] })
  expect(await bridge.openId()).toEqual({ access_token: 't0ken', matrix_server_name: 'e', token_type: 'Bearer', expires_in: 3600 })
  await bridge.keepVisible(true)
  expect(client.sent.find(({ action }) => action === 'set_always_on_screen')?.data).toEqual({ value: true })
})

test('asks for more when it is wanted, and knows what was allowed', async () => {
  const bridge = await connected()
  const allowed = bridge.allow(['a', 'b'])
  await vi.waitFor(() => expect(client.sent.some(({ action }) => action === 'org.matrix.msc2974.request_capabilities')).toBe(true))
  client.ask('notify_capabilities', { requested: ['a', 'b'], approved: ['m.always_on_screen', 'a'] })
  expect([...(await allowed)]).toEqual(['m.always_on_screen', 'a'])
})

test('tells the room’s state from the moment it is allowed, and which messages came encrypted', async () => {
  const bridge = await connected()
  const state = { type: 'm.room.member', sender: '@ana:e', event_id: '$1', room_id: '!r:e', state_key: '@ana:e', origin_server_ts: 1, content: {} }
  client.ask('update_state', { state: [state] })
  await bridge.matrix.stateKnown(['m.room.member'])
  const heard: unknown[] = []
  bridge.matrix.listen({ events: (told) => heard.push(...told), toDevice: (message) => heard.push(message) })
  expect(heard).toEqual([state])
  const message = { type: 't', sender: '@bruno:e', content: { a: 1 } }
  client.ask('send_to_device', { ...message, encrypted: true })
  client.ask('send_to_device', message)
  client.ask('send_event', { ...state, event_id: '$old' }) // history, where state is pushed
  const sticky = { ...state, event_id: '$2', state_key: undefined, msc4354_sticky: { duration_ms: 1 } }
  client.ask('send_event', sticky)
  await vi.waitFor(() => expect(client.sent.filter(({ response, action }) => response !== undefined && action === 'send_event')).toHaveLength(2))
  expect(heard.slice(1)).toEqual([{ ...message, encrypted: true }, { ...message, encrypted: false }, sticky])
})

test('speaks to the client’s origin only, and writes nothing to the console', async () => {
  const bridge = await connected()
  await bridge.openId()
  expect([...client.targets]).toEqual([ORIGIN])
  for (const level of ['log', 'warn', 'error', 'info', 'debug'] as const) expect(console[level]).not.toHaveBeenCalled()
})

test('a person who declines is told so', async () => {
  client.token = { state: 'blocked' }
  const bridge = await connected()
  await expect(bridge.openId()).rejects.toMatchObject({ code: 'widget_refused' })
})

test('follows the client’s theme and acknowledges it', async () => {
  await connected()
  client.ask('theme_change', { name: 'dark' })
  await vi.waitFor(() => expect(client.answerTo('theme_change')).toBeDefined())
  expect(events.theme).toHaveBeenCalledWith('dark')
})

test('a frame without a client gives up with a code', async () => {
  vi.useFakeTimers()
  vi.stubGlobal('parent', { postMessage: () => undefined })
  const waiting = expect(connectWidget(ENTRANCE, guardMessages(ORIGIN), events)).rejects.toMatchObject({ code: 'widget_no_answer' })
  await vi.advanceTimersByTimeAsync(60_000)
  await waiting
  vi.useRealTimers()
})
