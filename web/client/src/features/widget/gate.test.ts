import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { guardMessages } from './gate'
import { forgetListeners } from '../../test/listeners'

const ORIGIN = 'https://chat.example.org'
let client: Window
let heard: unknown[]
const listener = (event: MessageEvent) => heard.push(event.data)
const arrive = (data: unknown, origin = ORIGIN, source: Window = client) =>
  window.dispatchEvent(new MessageEvent('message', { data, origin, source }))

beforeEach(() => {
  const frame = document.createElement('iframe')
  document.body.append(frame)
  client = frame.contentWindow as Window
  vi.stubGlobal('parent', client)
  heard = []
})

afterEach(() => {
  forgetListeners()
  vi.unstubAllGlobals()
})

test('messages that come before the bridge wait for it, in order', () => {
  const gate = guardMessages(ORIGIN)
  window.addEventListener('message', listener)
  arrive('capabilities')
  arrive('versions')
  expect(heard).toEqual([])
  gate.open()
  expect(heard).toEqual(['capabilities', 'versions'])
  arrive('theme')
  expect(heard).toEqual(['capabilities', 'versions', 'theme'])
})

test('another origin or another window is never heard, open or not', () => {
  const gate = guardMessages(ORIGIN)
  window.addEventListener('message', listener)
  arrive('forged', 'https://evil.example')
  arrive('forged', ORIGIN, window)
  gate.open()
  arrive('forged', 'https://evil.example')
  arrive('forged', ORIGIN, window)
  expect(heard).toEqual([])
})
