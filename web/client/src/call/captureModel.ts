/**
 * What is recorded and transcribed in the running call, and the person's own answers: a store, without React.
 *
 * Follows the room's metadata and the person's own attributes; sends answers, starts and stops through the API.
 */
import type { Participant, Room } from 'livekit-client'
import { RoomEvent } from 'livekit-client'
import { createStore } from 'zustand/vanilla'
import type { ConsentEvent, ConsentState } from './consent'
import { CALM, consent } from './consent'
import type { Answer, Capture, Kind, Standings } from './capture'
import type { EarlierEvent, EarlierParts } from './earlier'
import { earlier, keptBefore, keptOf, shown, those } from './earlier'
import { callIdOf, captureOf, localpart, NOTHING, standingsOf, UNASKED } from './capture'

export interface CaptureState {
  capture: Capture
  standings: Standings
  consent: ConsentState
  earlier: EarlierParts
  /** Code of why an earlier part could not be removed. */
  notRemoved: string | null
}

/** What the API offers of it (app/flow.ts). */
export interface CaptureRequests {
  noteCapture(call: string | null, capture: Capture, kept: Kind[]): void
  /** The kinds of which something of the person is kept since an earlier stay in the same call. */
  keptBefore(call: string | null): Kind[]
  startCapture(kinds: Kind[]): Promise<void>
  stopCapture(kinds: Kind[]): Promise<void>
  answerConsent(kinds: Kind[], answer: Answer): Promise<void>
  removeEarlier(kinds: Kind[]): Promise<void>
}

/** An answer that travels through the room takes a moment; after this it will not come any more. */
const HEARD_WITHIN = 15_000 // ms

export type CaptureModel = ReturnType<typeof captureModel>

export function captureModel(room: Room, requests: CaptureRequests, codeOf: (error: unknown) => string) {
  const store = createStore<CaptureState>(() => ({
    capture: NOTHING,
    standings: UNASKED,
    consent: CALM,
    earlier: keptBefore(requests.keptBefore(callIdOf(room.metadata))),
    notRemoved: null,
  }))
  const happen = (event: ConsentEvent) => {
    store.setState((state) => ({ consent: consent(state.consent, event) }))
    if (event.type === 'refused') ofEarlier(event.kinds, 'refused')
  }
  const ofEarlier = (kinds: readonly Kind[], event: EarlierEvent) =>
    store.setState((state) => ({ earlier: earlier(state.earlier, kinds, event), notRemoved: null }))
  const note = () => requests.noteCapture(callIdOf(room.metadata), store.getState().capture, keptOf(store.getState().earlier))

  const read = () => {
    const capture = captureOf(room.metadata)
    const standings = standingsOf(room.localParticipant.attributes)
    store.setState((state) => ({ capture, standings, earlier: shown(state.earlier, standings) }))
    happen({ type: 'told', capture, standings })
    note()
  }
  const attributesChanged = (_: unknown, participant: Participant) => {
    if (participant === room.localParticipant) read()
  }

  /** The server's word on an answer that was sent, or a sentence that it did not come. */
  const latest: Partial<Record<Kind, number>> = {}
  let answers = 0
  const expectWord = (kinds: Kind[], number: number) =>
    setTimeout(() => {
      const { pending } = store.getState().consent
      const unheard = kinds.filter((kind) => latest[kind] === number && pending[kind] !== undefined)
      if (unheard.length > 0) happen({ type: 'refused', kinds: unheard, code: 'consent_unheard' })
    }, HEARD_WITHIN)

  return {
    store,
    /** Returns how to stop. */
    follow(): () => void {
      read()
      room.on(RoomEvent.RoomMetadataChanged, read).on(RoomEvent.ParticipantAttributesChanged, attributesChanged)
      return () => {
        room.off(RoomEvent.RoomMetadataChanged, read).off(RoomEvent.ParticipantAttributesChanged, attributesChanged)
      }
    },
    async answer(kinds: Kind[], answer: Answer): Promise<void> {
      happen({ type: 'answered', kinds, answer })
      if (answer === 'no') ofEarlier(kinds, 'withdraw')
      const number = ++answers
      for (const kind of kinds) latest[kind] = number
      try {
        await requests.answerConsent(kinds, answer)
        expectWord(kinds, number)
      } catch (error) {
        happen({ type: 'refused', kinds, code: codeOf(error) })
      }
    },
    /** What was captured of them stays; they may still change their mind. */
    keepEarlier: () => ofEarlier(those(store.getState().earlier, 'asked'), 'keep'),
    askEarlier: (kind: Kind) => ofEarlier([kind], 'ask'),
    /** Whether it is done. */
    async removeEarlier(): Promise<boolean> {
      const kinds = those(store.getState().earlier, 'asked')
      ofEarlier(kinds, 'remove')
      try {
        await requests.removeEarlier(kinds)
        ofEarlier(kinds, 'removed')
        note()
        return true
      } catch (error) {
        ofEarlier(kinds, 'refused')
        store.setState({ notRemoved: codeOf(error) })
        return false
      }
    },
    start: (kinds: Kind[]) => requests.startCapture(kinds),
    stop: (kinds: Kind[]) => requests.stopCapture(kinds),
    /** The name of who started it, as people know them. */
    nameOf(by: string): string {
      const people: Participant[] = [room.localParticipant, ...room.remoteParticipants.values()]
      const found = people.find((person) => person.identity === by || person.attributes['palabre.user'] === by)
      return found?.name || localpart(by)
    },
  }
}
