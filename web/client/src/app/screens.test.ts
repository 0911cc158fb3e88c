import { expect, test } from 'vitest'
import { NOTHING } from '../call/capture'
import type { Meeting } from './api'
import type { Screen, ScreenEvent, ScreenName } from './screens'
import { FIRST, next, TRANSITIONS } from './screens'

const meeting: Meeting = { id: 'm1', title: 'Budget', mode: 'server', roomEncrypted: true, call: null, capture: NOTHING }
const through = (...events: ScreenEvent[]) => events.reduce(next, FIRST)
const found: ScreenEvent = { type: 'meetingFound', meeting, person: 'Ana' }

test('the way in by link: sign in, look at oneself, join', () => {
  const screen = through({ type: 'signInNeeded', problem: null }, { type: 'signInSent' }, found, { type: 'joinAsked' }, { type: 'connected' })
  expect(screen).toMatchObject({ name: 'call', person: 'Ana', meeting: { title: 'Budget' } })
})

test('a refused join goes back to the preview with the reason', () => {
  const screen = through(found, { type: 'joinAsked' }, { type: 'joinRefused', problem: { code: 'call_forbidden' } })
  expect(screen).toMatchObject({ name: 'prejoin', problem: { code: 'call_forbidden' } })
})

test('after the call one may come back', () => {
  const summary = { seconds: 60, captured: [], kept: [], problem: null }
  const screen = through(found, { type: 'joinAsked' }, { type: 'connected' }, { type: 'left', summary })
  expect(screen).toMatchObject({ name: 'ended', summary })
  expect(next(screen, { type: 'backAsked' })).toMatchObject({ name: 'prejoin', problem: null })
})

test('an answer that comes too late changes nothing', () => {
  const call = through(found, { type: 'joinAsked' }, { type: 'connected' })
  expect(next(call, { type: 'meetingChanged', meeting })).toBe(call)
  expect(next(call, { type: 'joinRefused', problem: { code: 'x' } })).toBe(call)
})

test('there is a way out of every screen', () => {
  for (const name of Object.keys(TRANSITIONS) as ScreenName[]) expect(Object.keys(TRANSITIONS[name])).not.toEqual([])
  const stuck: Screen = { name: 'error', problem: { code: 'unreachable' } }
  expect(next(stuck, found).name).toBe('prejoin')
})
