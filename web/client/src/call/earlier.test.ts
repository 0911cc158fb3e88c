import { describe, expect, test } from 'vitest'
import type { EarlierEvent, EarlierParts } from './earlier'
import { earlier, keptOf, NOTHING_EARLIER, shown, those } from './earlier'

const after = (...events: EarlierEvent[]): EarlierParts => events.reduce((parts, event) => earlier(parts, ['recording'], event), NOTHING_EARLIER)

describe('what was captured before a yes was taken back', () => {
  test('is asked about once the server shows the no, and not before', () => {
    expect(after('yes', 'withdraw').recording).toBe('withdrawing')
    expect(after('yes', 'withdraw', 'yes').recording).toBe('withdrawing') // what the server says is still the old answer
    expect(after('yes', 'withdraw', 'no').recording).toBe('asked')
  })

  test('is asked about, too, where the capture ended while the no was on its way', () => {
    expect(after('yes', 'withdraw', 'silence').recording).toBe('asked')
  })

  test('is not asked about where nobody ever agreed, or the no did not arrive', () => {
    expect(after('withdraw', 'no')).toEqual(NOTHING_EARLIER)
    expect(after('yes', 'withdraw', 'refused').recording).toBe('agreed')
  })

  test('is kept without a question by whoever said no in the room, and can be asked about', () => {
    expect(after('yes', 'no').recording).toBe('kept')
    expect(after('yes', 'no', 'ask').recording).toBe('asked')
  })

  test('goes when the person says so, and stays where that fails', () => {
    expect(after('yes', 'withdraw', 'no', 'remove').recording).toBe('removing')
    expect(after('yes', 'withdraw', 'no', 'remove', 'removed')).toEqual(NOTHING_EARLIER)
    expect(after('yes', 'withdraw', 'no', 'remove', 'refused').recording).toBe('asked')
  })

  test('is part of the new one when somebody agrees again', () => {
    expect(after('yes', 'withdraw', 'no', 'keep', 'yes').recording).toBe('agreed')
  })

  test('is there as long as it was not removed: also of a capture that ended, and of one kind alone', () => {
    const parts = shown(shown(NOTHING_EARLIER, { recording: 'yes', transcription: 'no' }), { recording: null, transcription: null })
    expect(keptOf(parts)).toEqual(['recording'])
    expect(those(parts, 'asked')).toEqual([])
  })

  test('does not change where nothing happened', () => {
    const parts = after('yes')
    expect(shown(parts, { recording: 'yes', transcription: null })).toBe(parts)
  })
})
