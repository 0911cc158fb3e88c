/** Loudspeakers: whether the browser lets one choose, and two notes to hear which it is. */

export function canChooseSpeaker(): boolean {
  return 'setSinkId' in HTMLMediaElement.prototype
}

const NOTES = [
  { frequency: 523.25, at: 0 },
  { frequency: 659.25, at: 0.25 },
] // Hz and seconds: C5, E5
const LENGTH = 0.9 // seconds

/** Through an audio element, as the voices of the call will be, so that the same loudspeaker plays. */
export async function playChime(speaker: string): Promise<void> {
  const context = new AudioContext()
  const output = context.createMediaStreamDestination()
  for (const { frequency, at } of NOTES) {
    const tone = context.createOscillator()
    const volume = context.createGain()
    tone.frequency.value = frequency
    volume.gain.setValueAtTime(0, context.currentTime + at)
    volume.gain.linearRampToValueAtTime(0.25, context.currentTime + at + 0.02)
    volume.gain.exponentialRampToValueAtTime(0.001, context.currentTime + at + 0.6)
    tone.connect(volume).connect(output)
    tone.start(context.currentTime + at)
    tone.stop(context.currentTime + LENGTH)
  }
  const audio = new Audio()
  audio.srcObject = output.stream
  if (speaker !== '') await audio.setSinkId(speaker).catch(() => undefined) // Unplugged meanwhile: the default plays.
  await audio.play().catch(() => undefined)
  setTimeout(() => void context.close(), (LENGTH + 0.5) * 1000)
}
