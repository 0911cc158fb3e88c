import { expect, test } from 'vitest'
import { HUES, hueOf, initials } from './names'

test.each([
  ['Ana Pereira', 'AP'],
  ['Jean-Paul Sartre', 'JS'],
  ['ana', 'A'],
  ['élodie', 'É'],
  ['  ', '?'],
  ['李 小龍', '李小'],
  ['@dmitri (invité)', 'DI'],
])('the initials of «%s» are %s', (name, expected) => {
  expect(initials(name)).toBe(expected)
})

test('everybody keeps the same colour', () => {
  expect(hueOf('@ana:e/phone')).toBe(hueOf('@ana:e/tab'))
  for (const identity of ['a', 'ana', '@dmitri:example.org', '']) {
    expect(hueOf(identity)).toBeGreaterThanOrEqual(0)
    expect(hueOf(identity)).toBeLessThan(HUES)
  }
})
