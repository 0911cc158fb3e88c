import { expect, test } from 'vitest'
import { holds } from './rights'

const holder = (canPublish: boolean, canPublishSources: number[] = [], may = '') =>
  ({ permissions: { canPublish, canPublishSources }, attributes: may === '' ? {} : { 'palabre.may': may } }) as unknown as Parameters<typeof holds>[0]

test('whoever may send with no sources named may send everything', () => {
  expect(['microphone', 'camera', 'screen'].every((right) => holds(holder(true), right as 'screen'))).toBe(true)
})

test('with sources named, only those', () => {
  const talk = holder(true, [2, 1])
  expect(holds(talk, 'microphone')).toBe(true)
  expect(holds(talk, 'camera')).toBe(true)
  expect(holds(talk, 'screen')).toBe(false)
})

test('nothing is allowed that the server has not said', () => {
  expect(holds(holder(false, [2]), 'microphone')).toBe(false)
  expect(holds({ permissions: undefined, attributes: {} }, 'microphone')).toBe(false)
  expect(holds(holder(true), 'moderate')).toBe(false)
})

test('recording and moderating are told apart', () => {
  expect(holds(holder(true, [], 'capture moderate'), 'moderate')).toBe(true)
  expect(holds(holder(true, [], 'capture'), 'moderate')).toBe(false)
  expect(holds(holder(true, [], 'capture'), 'capture')).toBe(true)
})
