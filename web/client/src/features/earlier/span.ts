/** A length of time in words, never longer than it is: nobody is to come too late. */

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

/** In the largest unit that fits without a rest; else in the largest of which there are at least two. */
export function span(seconds: number, language: string): string {
  const whole = UNITS.find(([, length]) => seconds >= length && seconds % length === 0)
  const [unit, length] = whole !== undefined && whole[0] !== 'second' ? whole : (UNITS.find(([, each]) => seconds >= 2 * each) ?? UNITS[3])
  return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(Math.floor(seconds / length))
}
