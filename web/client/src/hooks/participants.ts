/** Facts about one participant that change while they are in, as React state. */
import type { Participant } from 'livekit-client'
import { ParticipantEvent } from 'livekit-client'
import { useCallback, useSyncExternalStore } from 'react'

const MEDIA = [
  ParticipantEvent.TrackMuted,
  ParticipantEvent.TrackUnmuted,
  ParticipantEvent.TrackPublished,
  ParticipantEvent.TrackUnpublished,
  ParticipantEvent.LocalTrackPublished,
  ParticipantEvent.LocalTrackUnpublished,
] as const

const ATTRIBUTES = [ParticipantEvent.AttributesChanged] as const

export function useMicrophoneOn(participant: Participant): boolean {
  return useFact(participant, MEDIA, (p) => p.isMicrophoneEnabled)
}

export function useCameraOn(participant: Participant): boolean {
  return useFact(participant, MEDIA, (p) => p.isCameraEnabled)
}

export function useAttribute(participant: Participant, name: string): string | undefined {
  return useFact(participant, ATTRIBUTES, (p) => p.attributes[name])
}

type Events = typeof MEDIA | typeof ATTRIBUTES

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
