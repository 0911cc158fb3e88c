/** How parts of the call reach the stay in it: the session and what the person may do. */
import { createContext, useContext } from 'react'
import type { RunningCall } from '../../app/flow'

export const CallContext = createContext<RunningCall | null>(null)

export function useCall(): RunningCall {
  const call = useContext(CallContext)
  if (call === null) throw new Error('CallContext is missing')
  return call
}
