/** What a moderator can do to one person, where it is offered at all. The menu is fetched by moderators alone. */
import { useRoomContext } from '@livekit/components-react'
import { Suspense } from 'react'
import type { Person } from '../../call/roster'
import { useMay } from '../../hooks/participants'
import { fetched } from '../later/fetched'

const ModerationMenu = fetched('ModerationMenu')

export function Moderation({ person }: { person: Person }) {
  const may = useMay('moderate')
  const room = useRoomContext()
  // Who is on other relays alone is out of our server's reach, and the service itself is not to be moderated.
  const participant = room.remoteParticipants.get(person.identity)
  if (!may || person.recorder || participant === undefined) return null
  return (
    <Suspense>
      <ModerationMenu name={person.name} participant={participant} />
    </Suspense>
  )
}
