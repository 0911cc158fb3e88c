import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { announce, dismiss, live, notify } from './live'

beforeEach(() => vi.useFakeTimers())
afterEach(() => {
  vi.runAllTimers()
  vi.useRealTimers()
  live.setState({ notices: [] })
})

test('sentences are read out one after the other, never on top of each other', () => {
  announce('Bruno est là')
  announce('Chloé est là')
  vi.advanceTimersByTime(200)
  expect(live.getState().polite).toBe('Bruno est là')
  vi.advanceTimersByTime(500)
  expect(live.getState().polite).toBe('Chloé est là')
})

test('the same sentence twice is two changes', () => {
  const heard: string[] = []
  const stop = live.subscribe(({ polite }) => heard.push(polite))
  announce('Micro coupé')
  announce('Micro coupé')
  vi.runAllTimers()
  stop()
  expect(heard.filter(Boolean)).toEqual(['Micro coupé', 'Micro coupé'])
  expect(heard.indexOf('', heard.indexOf('Micro coupé'))).toBeGreaterThan(0)
})

test('what is urgent goes to the assertive region', () => {
  announce('La connexion est interrompue', true)
  vi.advanceTimersByTime(200)
  expect(live.getState()).toMatchObject({ urgent: 'La connexion est interrompue', polite: '' })
})

test('a notice goes away by itself, or by the person', () => {
  notify('Enregistrement arrêté')
  notify('Enregistrement arrêté')
  expect(live.getState().notices).toHaveLength(1)
  dismiss(live.getState().notices[0]?.id ?? 0)
  expect(live.getState().notices).toEqual([])
  notify('Encore')
  vi.advanceTimersByTime(10_000)
  expect(live.getState().notices).toEqual([])
})
