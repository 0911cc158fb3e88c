/**
 * The page's screens as a table of transitions: what may follow what, and with which facts. No React, no network.
 *
 * An event that the present screen doesn't know is ignored: late answers of the server arrive on later screens.
 */
import type { Kind } from '../call/capture'
import type { Meeting } from './api'

/** A problem code with the parameters of its sentence; the words are `problem.<code>` in the catalogues. */
export interface Problem {
  code: string
  params?: Record<string, string | number>
}

/** What can be said of a call that is over. */
export interface Summary {
  seconds: number
  /** What was captured while the person was in. */
  captured: Kind[]
  /** Of what something of the person is kept. */
  kept: Kind[]
  /** Null: the person left by themselves. */
  problem: Problem | null
}

export type Screen =
  | { name: 'starting' }
  | { name: 'signIn'; busy: boolean; problem: Problem | null }
  | { name: 'prejoin'; meeting: Meeting; person: string; problem: Problem | null }
  | { name: 'connecting'; meeting: Meeting; person: string }
  | { name: 'call'; meeting: Meeting; person: string }
  | { name: 'ended'; meeting: Meeting; person: string; summary: Summary }
  | { name: 'error'; problem: Problem }

export type ScreenName = Screen['name']

export type ScreenEvent =
  | { type: 'signInNeeded'; problem: Problem | null }
  | { type: 'signInSent' }
  | { type: 'meetingFound'; meeting: Meeting; person: string }
  | { type: 'meetingChanged'; meeting: Meeting }
  | { type: 'joinAsked' }
  | { type: 'joinRefused'; problem: Problem }
  | { type: 'connected' }
  | { type: 'left'; summary: Summary }
  | { type: 'backAsked' }
  | { type: 'failed'; problem: Problem }

type Of<N extends ScreenName> = Extract<Screen, { name: N }>
type Event<T extends ScreenEvent['type']> = Extract<ScreenEvent, { type: T }>
type Table = { [N in ScreenName]: { [T in ScreenEvent['type']]?: (screen: Of<N>, event: Event<T>) => Screen } }

const signIn = (_: Screen, { problem }: Event<'signInNeeded'>): Screen => ({ name: 'signIn', busy: false, problem })
const found = (_: Screen, { meeting, person }: Event<'meetingFound'>): Screen => ({ name: 'prejoin', meeting, person, problem: null })
const fail = (_: Screen, { problem }: Event<'failed'>): Screen => ({ name: 'error', problem })

export const TRANSITIONS: Table = {
  starting: { signInNeeded: signIn, meetingFound: found, failed: fail },
  signIn: {
    signInSent: () => ({ name: 'signIn', busy: true, problem: null }),
    signInNeeded: signIn,
    meetingFound: found,
    failed: fail,
  },
  prejoin: {
    meetingChanged: (screen, { meeting }) => ({ ...screen, meeting }),
    joinAsked: ({ meeting, person }) => ({ name: 'connecting', meeting, person }),
    signInNeeded: signIn,
    failed: fail,
  },
  connecting: {
    connected: ({ meeting, person }) => ({ name: 'call', meeting, person }),
    joinRefused: ({ meeting, person }, { problem }) => ({ name: 'prejoin', meeting, person, problem }),
    signInNeeded: signIn,
    failed: fail,
  },
  call: { left: ({ meeting, person }, { summary }) => ({ name: 'ended', meeting, person, summary }) },
  ended: {
    backAsked: ({ meeting, person }) => ({ name: 'prejoin', meeting, person, problem: null }),
    failed: fail,
  },
  error: { signInNeeded: signIn, meetingFound: found, failed: fail },
}

export const FIRST: Screen = { name: 'starting' }

export function next(screen: Screen, event: ScreenEvent): Screen {
  const step = TRANSITIONS[screen.name][event.type] as ((s: Screen, e: ScreenEvent) => Screen) | undefined
  return step ? step(screen, event) : screen
}
