/** How parts of the call reach the stay in it: the session, what the person may do, and who is there. */
import { createContext, useContext } from 'react'
import { useStore } from 'zustand'
import type { RunningCall } from '../../app/flow'
import type { Roster, RosterState } from '../../call/roster'

export const CallContext = createContext<RunningCall | null>(null)

export function useCall(): RunningCall {
  const call = useContext(CallContext)
  if (call === null) throw new Error('CallContext is missing')
  return call
}

export const RosterContext = createContext<Roster | null>(null)

export function useRosterStore(): Roster['store'] {
  const roster = useContext(RosterContext)
  if (roster === null) throw new Error('RosterContext is missing')
  return roster.store
}

export function useRoster(): RosterState {
  return useStore(useRosterStore())
}
