/** A problem in the person's language. */
import { useTranslation } from 'react-i18next'
import { useFlow } from '../../app/context'
import type { Problem } from '../../app/screens'
import { knownProblem } from './problems'

export function useSentence(): (problem: Problem) => { title: string; text: string } {
  const { t } = useTranslation('problem')
  const { service } = useFlow().api
  return ({ code, params }) => {
    const known = knownProblem(code)
    const all = { prefix: service.commandPrefix, ...params }
    return { title: t(`${known}_title`, all), text: t(`${known}_text`, all) }
  }
}
