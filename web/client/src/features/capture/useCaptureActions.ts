/** Starting and stopping, with a sentence to everybody's eyes when the server refuses. */
import { notify } from '../../app/live'
import { problemOf } from '../../app/flow'
import type { Kind } from '../../call/capture'
import { useSentence } from '../problem/sentence'
import { useCaptureModel } from './context'

export function useStartCapture(): (kinds: Kind[]) => Promise<void> {
  const { start } = useCaptureModel()
  return useTold(start)
}

export function useStopCapture(): (kinds: Kind[]) => Promise<void> {
  const { stop } = useCaptureModel()
  return useTold(stop)
}

function useTold(work: (kinds: Kind[]) => Promise<void>): (kinds: Kind[]) => Promise<void> {
  const sentence = useSentence()
  return async (kinds) => {
    try {
      await work(kinds)
    } catch (error) {
      notify(sentence(problemOf(error)).text, 'trouble')
    }
  }
}
