/** How loud a microphone is, as a person would judge it: 0 silent, 1 as loud as one speaks. */

const QUIET = -55 // dBFS: a quiet office
const LOUD = -15 // dBFS: somebody speaking up close

/** `samples` between -1 and 1, as AnalyserNode.getFloatTimeDomainData gives them. */
export function loudness(samples: Float32Array): number {
  let sum = 0
  for (const sample of samples) sum += sample * sample
  const decibels = 10 * Math.log10(sum / Math.max(samples.length, 1) + 1e-12)
  return Math.min(1, Math.max(0, (decibels - QUIET) / (LOUD - QUIET)))
}

/** Rises at once and falls slowly, so that the bar can be read. */
export function smooth(previous: number, now: number): number {
  return now > previous ? now : previous * 0.8 + now * 0.2
}
