/** How parts of the call reach what is captured. */
import { createContext, useContext } from 'react'
import type { CaptureModel } from '../../call/captureModel'

export const CaptureContext = createContext<CaptureModel | null>(null)

export function useCaptureModel(): CaptureModel {
  const model = useContext(CaptureContext)
  if (model === null) throw new Error('CaptureContext is missing')
  return model
}
