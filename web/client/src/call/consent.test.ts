import { expect, test } from 'vitest'
import type { Capture, Standings } from './capture'
import { NOTHING } from './capture'
import { CALM, consent, question, standing } from './consent'

const BOTH: Capture = { recording: { by: 'ana', since: 1 }, transcription: { by: 'ana', since: 1 } }
const ASKED: Standings = { recording: 'asked', transcription: 'asked' }
const YES: Standings = { recording: 'yes', transcription: 'yes' }

test('both kinds asked together are one question', () => {
  expect(question(CALM, BOTH, ASKED)).toEqual(['recording', 'transcription'])
})

test('nothing is asked while nothing is captured, whatever stale attributes say', () => {
  expect(question(CALM, NOTHING, ASKED)).toEqual([])
  expect(standing('recording', CALM, NOTHING, YES)).toBeNull()
})

test('the question goes with the click, before the server has answered', () => {
  const clicked = consent(CALM, { type: 'answered', kinds: ['recording', 'transcription'], answer: 'yes' })
  expect(question(clicked, BOTH, ASKED)).toEqual([])
  expect(standing('recording', clicked, BOTH, ASKED)).toBe('yes')
})

test('the server’s word replaces the click', () => {
  const clicked = consent(CALM, { type: 'answered', kinds: ['recording'], answer: 'yes' })
  const late = consent(clicked, { type: 'told', capture: BOTH, standings: ASKED })
  expect(late).toBe(clicked)
  const told = consent(clicked, { type: 'told', capture: BOTH, standings: YES })
  expect(told.pending).toEqual({})
  expect(standing('recording', told, BOTH, { ...YES, recording: 'no' })).toBe('no')
})

test('an answer that did not arrive is asked again, and says why', () => {
  const clicked = consent(CALM, { type: 'answered', kinds: ['recording'], answer: 'no' })
  const refused = consent(clicked, { type: 'refused', kinds: ['recording'], code: 'unreachable' })
  expect(refused.failed).toBe('unreachable')
  expect(question(refused, BOTH, ASKED)).toContain('recording')
})

test('a capture that ended takes its pending answers with it', () => {
  const clicked = consent(CALM, { type: 'answered', kinds: ['recording'], answer: 'yes' })
  expect(consent(clicked, { type: 'told', capture: NOTHING, standings: ASKED }).pending).toEqual({})
})
