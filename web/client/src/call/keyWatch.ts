/**
 * Whose media can't be decrypted, so that their tile says so instead of staying black.
 *
 * Somebody waits who has sent no key at all, or whose frames failed to decrypt and have not been decoded since:
 * livekit-client tells of failures (at most five a minute), but not when they are over.
 */
import type { RemoteTrack, Room } from 'livekit-client'
import { RoomEvent } from 'livekit-client'
import { createStore } from 'zustand/vanilla'

export interface KeyStates {
  /** Identities whose key has come. */
  held: ReadonlySet<string>
  failing: ReadonlySet<string>
}

/** A person looks up after about this long. */
const LOOK_AGAIN = 1_000 // ms

export type KeyWatch = ReturnType<typeof keyWatch>

export function keyWatch() {
  const store = createStore<KeyStates>(() => ({ held: new Set(), failing: new Set() }))
  const timers = new Set<ReturnType<typeof setInterval>>()

  const change = (name: keyof KeyStates, identity: string, present: boolean) => {
    if (store.getState()[name].has(identity) === present) return
    const next = new Set(store.getState()[name])
    if (present) next.add(identity)
    else next.delete(identity)
    store.setState({ [name]: next })
  }

  /** Watches what of them is decoded until it is more than it was. */
  const follow = (room: Room, identity: string) => {
    let before: number | null = null
    const timer = setInterval(() => {
      void decoded(room, identity).then((now) => {
        const over = now === null || (before !== null && now > before) || !store.getState().failing.has(identity)
        before = now
        if (!over) return
        clearInterval(timer)
        timers.delete(timer)
        change('failing', identity, false)
      })
    }, LOOK_AGAIN)
    timers.add(timer)
  }

  return {
    store,
    keyArrived: (identity: string) => change('held', identity, true),
    watch(room: Room): void {
      room.on(RoomEvent.EncryptionError, (_error, participant) => {
        if (participant === undefined || participant.isLocal) return
        if (store.getState().failing.has(participant.identity)) return
        change('failing', participant.identity, true)
        follow(room, participant.identity)
      })
    },
    stop(): void {
      for (const timer of timers) clearInterval(timer)
      timers.clear()
    },
  }
}

/** Frames and samples of somebody that came out of the decoders so far; null if they are gone. */
async function decoded(room: Room, identity: string): Promise<number | null> {
  const participant = room.remoteParticipants.get(identity)
  if (participant === undefined) return null
  let sum = 0
  for (const { track } of participant.trackPublications.values()) {
    const report = await (track as RemoteTrack | undefined)?.receiver?.getStats()
    for (const stats of report?.values() ?? []) if (stats.type === 'inbound-rtp') sum += decodedOf(stats)
  }
  return sum
}

/** Decoders conceal what they didn't get: that is no sign of life. */
function decodedOf(stats: { framesDecoded?: number; totalSamplesReceived?: number; concealedSamples?: number }): number {
  return (stats.framesDecoded ?? 0) + (stats.totalSamplesReceived ?? 0) - (stats.concealedSamples ?? 0)
}
