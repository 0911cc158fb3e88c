/** What happens in passing: sentences for screen readers, and short notices that everybody sees. */
import { createStore } from 'zustand/vanilla'

export interface Notice {
  id: number
  text: string
  tone: 'plain' | 'trouble'
}

export interface LiveState {
  /** Changes of these two texts are read out, `urgent` at once. */
  polite: string
  urgent: string
  notices: Notice[]
}

/** Screen readers miss a change that comes too soon after the last; measured by others at 150 to 300 ms. */
const SPACING = 300 // ms
/** Twice the time it takes to read two lines. */
const SHOWN = 8_000 // ms
/** More at once would hide the people. */
const MOST = 3

export const live = createStore<LiveState>(() => ({ polite: '', urgent: '', notices: [] }))

const waiting: { text: string; urgent: boolean }[] = []
let speaking = false
let count = 0

/** Has a screen reader say it, after what it is already saying. */
export function announce(text: string, urgent = false): void {
  waiting.push({ text, urgent })
  if (!speaking) speakNext()
}

function speakNext(): void {
  const sentence = waiting.shift()
  speaking = sentence !== undefined
  if (sentence === undefined) return
  live.setState({ polite: '', urgent: '' }) // The same sentence twice is a change too.
  setTimeout(() => {
    live.setState(sentence.urgent ? { urgent: sentence.text } : { polite: sentence.text })
    setTimeout(speakNext, SPACING)
  }, SPACING / 2)
}

/** Shows a sentence for a while, and has it read out. */
export function notify(text: string, tone: Notice['tone'] = 'plain'): void {
  const id = ++count
  live.setState(({ notices }) => ({ notices: [...notices.filter((n) => n.text !== text), { id, text, tone }].slice(-MOST) }))
  announce(text, tone === 'trouble')
  setTimeout(() => dismiss(id), SHOWN)
}

export function dismiss(id: number): void {
  live.setState(({ notices }) => ({ notices: notices.filter((notice) => notice.id !== id) }))
}
