/** Everybody's voice, from our relay and from those of others. */
import { RoomAudioRenderer } from '@livekit/components-react'
import { useStore } from 'zustand'
import type { RtcStay } from '../../rtc/stay'

export function Sounds({ stay }: { stay: RtcStay | null }) {
  return (
    <>
      <RoomAudioRenderer />
      {stay !== null && <Elsewhere stay={stay} />}
    </>
  )
}

function Elsewhere({ stay }: { stay: RtcStay }) {
  const { rooms } = useStore(stay.rooms)
  return rooms.map(({ focus, room }) => <RoomAudioRenderer key={focus} room={room} />)
}
