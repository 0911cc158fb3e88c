/** Programs that take part in the call, and whether the person lets them hear: from attributes that the server writes. */
import { useRemoteParticipants, useRoomContext } from '@livekit/components-react'
import { ParticipantKind } from 'livekit-client'
import { useCallback, useState } from 'react'
import { useFlow } from '../../app/context'
import { problemOf } from '../../app/flow'
import type { Answer } from '../../call/capture'
import { useAttribute } from '../../hooks/participants'

const ATTRIBUTE = 'palabre.consent.agent'

export interface Hearing {
  /** Names of the programs; none: there is nothing to decide. */
  names: string[]
  standing: 'asked' | Answer | null
  /** Code of the last refusal. */
  failed: string | null
  answer(given: Answer): Promise<void>
}

export function useHearing(): Hearing {
  const flow = useFlow()
  const room = useRoomContext()
  const value = useAttribute(room.localParticipant, ATTRIBUTE)
  const programs = useRemoteParticipants().filter(({ kind }) => kind === ParticipantKind.AGENT)
  const [failed, setFailed] = useState<string | null>(null)
  const answer = useCallback(
    async (given: Answer) => {
      setFailed(null)
      try {
        await flow.answerConsent(['agent'], given)
      } catch (error) {
        setFailed(problemOf(error).code)
      }
    },
    [flow],
  )
  const standing = value === 'asked' || value === 'yes' || value === 'no' ? value : null
  return { names: programs.map(({ name, identity }) => (name === undefined || name === '' ? identity : name)), standing, failed, answer }
}
