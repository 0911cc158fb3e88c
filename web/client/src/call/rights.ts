/**
 * What somebody may do in the call just now. What they may send, LiveKit's permissions say; what they may do to the
 * call, an attribute that the server alone sets. Both change during the call when the room's rules do. Pure.
 */
import type { Participant } from 'livekit-client'
import type { Device } from './media'

/** `capture`: start and stop recording and transcription · `moderate`: mute and remove others. */
export type Right = Device | 'capture' | 'moderate'

/** `TrackSource` of LiveKit's protocol (livekit_models.proto). */
const SOURCES: Record<Device, number> = { camera: 1, microphone: 2, screen: 3 }

type Holder = Pick<Participant, 'attributes' | 'permissions'>

export function holds({ attributes, permissions }: Holder, right: Right): boolean {
  if (right === 'capture' || right === 'moderate') return (attributes['palabre.may'] ?? '').split(' ').includes(right)
  const sources: readonly number[] = permissions?.canPublishSources ?? []
  return permissions?.canPublish === true && (sources.length === 0 || sources.includes(SOURCES[right]))
}
