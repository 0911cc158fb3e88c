import { expect, test } from 'vitest'
import { captureOf, localpart, NOTHING, running, standingsOf } from './capture'

const recorded = { recording: { by: '@ana:example.org', since: 1_800_000_000 }, transcription: null }

test('the room’s metadata says what is captured', () => {
  expect(captureOf(JSON.stringify({ meeting: 'm1', capture: recorded }))).toEqual(recorded)
})

test.each([undefined, '', 'no JSON', '[]', 'null', '{"capture": 3}', '{"capture": {"recording": true}}'])(
  'metadata of another make (%s) captures nothing',
  (metadata) => {
    expect(captureOf(metadata)).toEqual(NOTHING)
  },
)

test('only the three answers that exist are read', () => {
  expect(standingsOf({ 'palabre.consent.recording': 'yes', 'palabre.consent.transcription': 'perhaps' })).toEqual({
    recording: 'yes',
    transcription: null,
  })
  expect(standingsOf(undefined)).toEqual({ recording: null, transcription: null })
})

test('running lists what is captured', () => {
  expect(running(recorded)).toEqual(['recording'])
  expect(running(NOTHING)).toEqual([])
})

test('a Matrix user id is shown by the part that people know', () => {
  expect(localpart('@ana.pereira:example.org')).toBe('ana.pereira')
  expect(localpart('Ana Pereira')).toBe('Ana Pereira')
})
