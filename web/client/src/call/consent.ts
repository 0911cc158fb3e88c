/**
 * The person's own answers to being recorded and transcribed, between the click and the server's word.
 *
 * The server's attributes are the truth; an answer just given stands in for them until they say the same, so that
 * the question neither comes back for a moment nor is asked twice.
 */
import type { Answer, Capture, Kind, Standing, Standings } from './capture'
import { KINDS } from './capture'

export interface ConsentState {
  /** Answers on their way. */
  pending: Partial<Record<Kind, Answer>>
  /** Code of the last refusal, shown in the banner. */
  failed: string | null
}

export type ConsentEvent =
  | { type: 'answered'; kinds: readonly Kind[]; answer: Answer }
  | { type: 'refused'; kinds: readonly Kind[]; code: string }
  | { type: 'told'; capture: Capture; standings: Standings }

export const CALM: ConsentState = { pending: {}, failed: null }

export function consent(state: ConsentState, event: ConsentEvent): ConsentState {
  switch (event.type) {
    case 'answered':
      return { pending: { ...state.pending, ...each(event.kinds, () => event.answer) }, failed: null }
    case 'refused':
      return { pending: keep(state.pending, (kind) => !event.kinds.includes(kind)), failed: event.code }
    case 'told': {
      const pending = keep(
        state.pending,
        (kind) => event.capture[kind] !== null && event.standings[kind] !== state.pending[kind],
      )
      return Object.keys(pending).length === Object.keys(state.pending).length ? state : { ...state, pending }
    }
  }
}

/** How the person stands, an answer on its way included. */
export function standing(kind: Kind, state: ConsentState, capture: Capture, standings: Standings): Standing {
  if (capture[kind] === null) return null
  return state.pending[kind] ?? standings[kind]
}

/** The kinds that wait for an answer: what the banner asks. */
export function question(state: ConsentState, capture: Capture, standings: Standings): Kind[] {
  return KINDS.filter((kind) => standing(kind, state, capture, standings) === 'asked')
}

/** The kinds whose yes the server has not confirmed: nothing is captured of the person yet. */
export function sending(state: ConsentState, standings: Standings): Kind[] {
  return KINDS.filter((kind) => state.pending[kind] === 'yes' && standings[kind] !== 'yes')
}

function each<T>(kinds: readonly Kind[], value: (kind: Kind) => T): Partial<Record<Kind, T>> {
  return Object.fromEntries(kinds.map((kind) => [kind, value(kind)])) as Partial<Record<Kind, T>>
}

function keep(pending: ConsentState['pending'], wanted: (kind: Kind) => boolean): ConsentState['pending'] {
  return Object.fromEntries(Object.entries(pending).filter(([kind]) => wanted(kind as Kind)))
}
