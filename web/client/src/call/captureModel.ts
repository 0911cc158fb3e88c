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
      try {
        await requests.answerConsent(kinds, answer)
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
