/**
 * What was captured of the person before they took a yes back: whether it is kept or goes too. A table, and pure.
 *
 * The person is asked once the server has confirmed that they said no: until then a part of them may still be added.
 */
import type { Kind, Standings } from './capture'
import { KINDS } from './capture'

/** `agreed`: they are being captured, or were until it ended · `withdrawing`: their no is on its way. */
export type Earlier = 'nothing' | 'agreed' | 'withdrawing' | 'asked' | 'kept' | 'removing'

/** `yes`, `no` and `silence` are what the server shows; the others what the person does, and what comes of it. */
export type EarlierEvent = 'yes' | 'no' | 'silence' | 'withdraw' | 'keep' | 'ask' | 'remove' | 'removed' | 'refused'

export type EarlierParts = Record<Kind, Earlier>

export const NOTHING_EARLIER: EarlierParts = { recording: 'nothing', transcription: 'nothing' }

/** What is known of an earlier stay in the same call. */
export function keptBefore(kinds: readonly Kind[]): EarlierParts {
  return { ...NOTHING_EARLIER, ...Object.fromEntries(kinds.map((kind) => [kind, 'kept'])) }
}

const TRANSITIONS: Record<Earlier, Partial<Record<EarlierEvent, Earlier>>> = {
  nothing: { yes: 'agreed' },
  agreed: { withdraw: 'withdrawing', no: 'kept' }, // A no that they wrote in the room: the bot asks them there.
  withdrawing: { no: 'asked', silence: 'asked', refused: 'agreed' }, // What is not captured any more shows no answer.
  asked: { keep: 'kept', remove: 'removing', yes: 'agreed' },
  kept: { ask: 'asked', yes: 'agreed' },
  removing: { removed: 'nothing', refused: 'asked' },
}

export function earlier(parts: EarlierParts, kinds: readonly Kind[], event: EarlierEvent): EarlierParts {
  const changed = kinds.filter((kind) => (TRANSITIONS[parts[kind]][event] ?? parts[kind]) !== parts[kind])
  if (changed.length === 0) return parts
  return { ...parts, ...Object.fromEntries(changed.map((kind) => [kind, TRANSITIONS[parts[kind]][event]])) }
}

/** After the server showed how the person stands. */
export function shown(parts: EarlierParts, standings: Standings): EarlierParts {
  return KINDS.reduce((all, kind) => {
    const standing = standings[kind]
    return earlier(all, [kind], standing === 'yes' || standing === 'no' ? standing : 'silence')
  }, parts)
}

/** The kinds that are in one of these states. */
export function those(parts: EarlierParts, ...states: readonly Earlier[]): Kind[] {
  return KINDS.filter((kind) => states.includes(parts[kind]))
}

/** The kinds of which something of the person is kept, now or in the end. */
export function keptOf(parts: EarlierParts): Kind[] {
  return KINDS.filter((kind) => parts[kind] !== 'nothing')
}
