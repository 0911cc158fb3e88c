import { expect, test } from 'vitest'
import { loudness, smooth } from './level'

const tone = (amplitude: number) => Float32Array.from({ length: 480 }, (_, index) => amplitude * Math.sin(index / 5))

test('silence is nothing and a voice up close is all', () => {
  expect(loudness(new Float32Array(480))).toBe(0)
  expect(loudness(new Float32Array(0))).toBe(0)
  expect(loudness(tone(0.9))).toBe(1)
})

test('louder is more', () => {
  expect(loudness(tone(0.1))).toBeGreaterThan(loudness(tone(0.01)))
})

test('the bar rises at once and falls slowly', () => {
  expect(smooth(0.1, 0.9)).toBe(0.9)
  expect(smooth(0.9, 0.1)).toBeCloseTo(0.74)
})
