/** A problem in the person's language. */
import { useTranslation } from 'react-i18next'
import type { Problem } from '../../app/screens'
import { knownProblem } from './problems'

export function useSentence(): (problem: Problem) => { title: string; text: string } {
  const { t } = useTranslation('problem')
  return ({ code, params }) => {
    const known = knownProblem(code)
    return { title: t(`${known}_title`, params ?? {}), text: t(`${known}_text`, params ?? {}) }
  }
}
