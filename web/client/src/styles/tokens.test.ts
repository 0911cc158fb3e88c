/** The colours keep the contrast that WCAG 2.2 asks for, in both themes. */
import { expect, test } from 'vitest'
import css from './tokens.css?raw'

function colour(token: string, theme: 'light' | 'dark'): string {
  const value = new RegExp(`--${token}:\\s*([^;]+);`).exec(css)?.[1] ?? ''
  const pair = /light-dark\((#\w{6}),\s*(#\w{6})\)/.exec(value)
  return (pair ? pair[theme === 'light' ? 1 : 2] : value) ?? ''
}

function luminance(hex: string): number {
  const channel = (at: number) => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  }
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].toSorted((x, y) => y - x) as [number, number]
  return (high + 0.05) / (low + 0.05)
}

const TEXT = 4.5 // WCAG 1.4.3
const SHAPES = 3 // WCAG 1.4.11

const PAIRS: [string, string, number][] = [
  ['text', 'bg', TEXT], ['text', 'surface', TEXT], ['text', 'surface-2', TEXT], ['text', 'accent-soft', TEXT], ['text', 'danger-soft', TEXT],
  ['text-2', 'bg', TEXT], ['text-2', 'surface', TEXT], ['text-2', 'surface-2', TEXT],
  ['accent', 'surface', TEXT], ['accent', 'surface-2', TEXT], ['accent', 'accent-soft', TEXT], ['accent-ink', 'accent', TEXT], ['accent-ink', 'accent-strong', TEXT],
  ['danger', 'surface', TEXT], ['danger', 'danger-soft', TEXT], ['danger-ink', 'danger', TEXT], ['danger-ink', 'danger-strong', TEXT],
  ['warn-ink', 'warn', TEXT], ['ok', 'surface', TEXT],
  ['line', 'surface', SHAPES], ['focus', 'surface', SHAPES], ['focus', 'bg', SHAPES], ['speaking', 'tile', SHAPES],
]

test.each(PAIRS.flatMap(([ink, ground, least]) => [[ink, ground, least, 'light'], [ink, ground, least, 'dark']] as const))(
  '%s on %s has a contrast of at least %f in the %s theme',
  (ink, ground, least, theme) => {
    expect(contrast(colour(ink, theme), colour(ground, theme))).toBeGreaterThanOrEqual(least)
  },
)
