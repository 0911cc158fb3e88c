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
import { captureOf, localpart, NOTHING, standingsOf, UNASKED } from './capture'

export interface CaptureState {
  capture: Capture
  standings: Standings
  consent: ConsentState
}

/** What the API offers of it (app/flow.ts). */
export interface CaptureRequests {
  noteCapture(capture: Capture): void
  startCapture(kinds: Kind[]): Promise<void>
  stopCapture(kinds: Kind[]): Promise<void>
  answerConsent(kinds: Kind[], answer: Answer): Promise<void>
}

/** An answer that travels through the room takes a moment; after this it will not come any more. */
const HEARD_WITHIN = 15_000 // ms

export type CaptureModel = ReturnType<typeof captureModel>

export function captureModel(room: Room, requests: CaptureRequests, codeOf: (error: unknown) => string) {
  const store = createStore<CaptureState>(() => ({ capture: NOTHING, standings: UNASKED, consent: CALM }))
  const happen = (event: ConsentEvent) => store.setState((state) => ({ consent: consent(state.consent, event) }))

  const read = () => {
    const capture = captureOf(room.metadata)
    const standings = standingsOf(room.localParticipant.attributes)
    store.setState({ capture, standings })
    happen({ type: 'told', capture, standings })
    requests.noteCapture(capture)
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
      const number = ++answers
      for (const kind of kinds) latest[kind] = number
      try {
        await requests.answerConsent(kinds, answer)
        expectWord(kinds, number)
      } catch (error) {
        happen({ type: 'refused', kinds, code: codeOf(error) })
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
