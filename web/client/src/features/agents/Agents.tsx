/** What concerns programs in the call, fetched when there is one. */
import { useRemoteParticipants } from '@livekit/components-react'
import { ParticipantKind } from 'livekit-client'
import { Suspense } from 'react'
import { fetched } from '../later/fetched'

const PARTS = { chip: fetched('AgentChip'), banner: fetched('AgentBanner') }

export function Agents({ as }: { as: keyof typeof PARTS }) {
  const some = useRemoteParticipants().some(({ kind }) => kind === ParticipantKind.AGENT)
  const Part = PARTS[as]
  return some ? (
    <Suspense>
      <Part />
    </Suspense>
  ) : null
}
