import { expect, test } from 'vitest'
import words from '../../i18n/fr/problem.json'
import { knownProblem, PROBLEMS, waysOut } from './problems'

test('every problem has a title and a text, and no words are left over', () => {
  const wanted = Object.keys(PROBLEMS).flatMap((code) => [`${code}_title`, `${code}_text`])
  expect(Object.keys(words).toSorted()).toEqual(wanted.toSorted())
})

test.each([
  ['not_in_room', 'not_in_room'],
  ['session_missing', 'session_expired'],
  ['meeting_not_found', 'not_found'],
  ['http_503', 'server_failed'],
  ['something_of_tomorrow', 'unknown'],
  ['constructor', 'unknown'],
])('the code %s is told as %s', (code, known) => {
  expect(knownProblem(code)).toBe(known)
})

test('who was removed is not invited to come straight back', () => {
  expect(waysOut('removed')).toEqual([])
  expect(waysOut('connection_lost')).toEqual(['rejoin'])
})
