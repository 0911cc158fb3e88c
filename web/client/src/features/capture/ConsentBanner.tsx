/** Asks the person whether they may be recorded and transcribed. Two real answers of the same weight. */
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import { announce } from '../../app/live'
import type { Answer } from '../../call/capture'
import { question, sending } from '../../call/consent'
import { Banner } from '../../ui/Banner'
import { Button } from '../../ui/Button'
import { useSentence } from '../problem/sentence'
import { useCall } from '../call/context'
import { useCaptureModel } from './context'

export function ConsentBanner() {
  const { t } = useTranslation('capture')
  const model = useCaptureModel()
  const sentence = useSentence()
  const { stay } = useCall()
  const { capture, standings, consent } = useStore(model.store)
  const kinds = question(consent, capture, standings)
  const what = kinds.length === 2 ? 'both' : kinds[0]
  const by = kinds[0] === undefined ? '' : (capture[kinds[0]]?.by ?? '')
  const name = model.nameOf(by)
  const title = what === undefined ? '' : t(`ask_${what}`, { name })

  useEffect(() => {
    if (title !== '') announce(`${title} ${t('ask_announced')}`, true)
  }, [title, t])

  const waits = stay?.endToEnd === true && sending(consent, standings).length > 0
  useEffect(() => {
    if (waits) announce(t('answer_sending'))
  }, [waits, t])

  if (what === undefined) return waits ? <Banner tone="calm" title={t('answer_sending')} /> : null
  const answer = (given: Answer) => () => void model.answer(kinds, given)
  return (
    <Banner
      title={title}
      actions={
        <>
          <Button onPress={answer('yes')}>{t('agree')}</Button>
          <Button onPress={answer('no')}>{t('decline')}</Button>
        </>
      }
    >
      {t(`ask_${what}_means`)}
      {consent.failed !== null && <strong role="alert"> {sentence({ code: consent.failed }).text}</strong>}
    </Banner>
  )
}
