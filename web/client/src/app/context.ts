/** How screens reach the flow. */
import { createContext, useContext } from 'react'
import type { Flow } from './flow'

export const FlowContext = createContext<Flow | null>(null)

export function useFlow(): Flow {
  const flow = useContext(FlowContext)
  if (flow === null) throw new Error('FlowContext is missing')
  return flow
}
