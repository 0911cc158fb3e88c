import { expect, test } from 'vitest'
import { span } from './span'

test.each([
  [3600, 'fr', '1 heure'],
  [5400, 'en', '90 minutes'],
  [86_400, 'de', '1 Tag'],
  [90_061, 'en', '25 hours'],
  [45, 'en', '45 seconds'],
])('%d seconds in %s are %s', (seconds, language, words) => {
  expect(span(seconds, language).replaceAll(/\s/g, ' ')).toBe(words)
})
