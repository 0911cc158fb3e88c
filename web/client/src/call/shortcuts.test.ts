import { expect, test } from 'vitest'
import type { Action } from './shortcuts'
import { actionOf, ariaKeys, keysOf, SHORTCUTS } from './shortcuts'

const press = (key: string, ...held: ('ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey')[]) =>
  new KeyboardEvent('keydown', { key, ...Object.fromEntries(held.map((name) => [name, true])) })

test('Control and D is the microphone, with Command on a Mac and whatever the case', () => {
  expect(actionOf(press('d', 'ctrlKey'))).toBe('microphone')
  expect(actionOf(press('D', 'metaKey'))).toBe('microphone')
})

test('a letter alone is only a letter', () => {
  expect(actionOf(press('d'))).toBeNull()
})

test('Shift tells the camera and the screen apart', () => {
  expect(actionOf(press('e', 'ctrlKey'))).toBe('camera')
  expect(actionOf(press('E', 'ctrlKey', 'shiftKey'))).toBe('screen')
})

test('AltGr, which is Control and Alt, types characters', () => {
  expect(actionOf(press('e', 'ctrlKey', 'altKey'))).toBeNull()
})

test('no two shortcuts are the same', () => {
  const chords = (Object.keys(SHORTCUTS) as Action[]).map(ariaKeys)
  expect(new Set(chords).size).toBe(chords.length)
})

test('keys are named as they stand on the keyboard', () => {
  expect(keysOf('screen', { ctrl: 'Strg', shift: 'Umschalt' })).toEqual(['Strg', 'Umschalt', 'E'])
  expect(ariaKeys('chat')).toBe('Control+Shift+M')
})
