/** Facts about one participant that change while they are in, as React state. */
import { useRoomContext } from '@livekit/components-react'
import type { Participant } from 'livekit-client'
import { ParticipantEvent } from 'livekit-client'
import { useCallback, useSyncExternalStore } from 'react'
import type { Right } from '../call/rights'
import { holds } from '../call/rights'

const MEDIA = [
  ParticipantEvent.TrackMuted,
  ParticipantEvent.TrackUnmuted,
  ParticipantEvent.TrackPublished,
  ParticipantEvent.TrackUnpublished,
  ParticipantEvent.LocalTrackPublished,
  ParticipantEvent.LocalTrackUnpublished,
] as const

const ATTRIBUTES = [ParticipantEvent.AttributesChanged] as const

const RIGHTS = [ParticipantEvent.ParticipantPermissionsChanged, ParticipantEvent.AttributesChanged] as const

export function useMicrophoneOn(participant: Participant): boolean {
  return useFact(participant, MEDIA, (p) => p.isMicrophoneEnabled)
}

export function useCameraOn(participant: Participant): boolean {
  return useFact(participant, MEDIA, (p) => p.isCameraEnabled)
}

export function useAttribute(participant: Participant, name: string): string | undefined {
  return useFact(participant, ATTRIBUTES, (p) => p.attributes[name])
}

/** Whether the person may do something in the call just now. */
export function useMay(right: Right): boolean {
  return useFact(useRoomContext().localParticipant, RIGHTS, (me) => holds(me, right))
}

type Events = typeof MEDIA | typeof ATTRIBUTES | typeof RIGHTS

function useFact<T extends string | boolean | undefined>(
  participant: Participant,
  events: Events,
  read: (participant: Participant) => T,
): T {
  const subscribe = useCallback(
    (changed: () => void) => {
      for (const event of events) participant.on(event, changed)
      return () => {
        for (const event of events) participant.off(event, changed)
      }
    },
    [participant, events],
  )
  return useSyncExternalStore(subscribe, () => read(participant))
}
