/** After the call, for whoever had agreed: they can still have their part removed. */
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { announce } from '../../app/live'
import { useFlow } from '../../app/context'
import { problemOf } from '../../app/flow'
import type { Kind } from '../../call/capture'
import { Button } from '../../ui/Button'
import css from './EarlierAfter.module.css'
import { EarlierQuestion, Until } from './EarlierQuestion'

type Step = 'offered' | 'asked' | 'removing' | 'kept' | 'removed'

export default function EarlierAfter({ kinds }: { kinds: Kind[] }) {
  const { t } = useTranslation('earlier')
  const flow = useFlow()
  const [step, setStep] = useState<Step>('offered')
  const [failed, setFailed] = useState<string | null>(null)
  const remove = async () => {
    setStep('removing')
    setFailed(null)
    try {
      await flow.removeEarlier(kinds)
      setStep('removed')
      announce(t('taken_out'))
    } catch (error) {
      setStep('asked')
      setFailed(problemOf(error).code)
    }
  }
  switch (step) {
    case 'offered':
    case 'kept':
      return (
        <>
          <p>
            {t('after_text')} <Until />
          </p>
          <Button autoFocus={step === 'kept'} onPress={() => setStep('asked')}>{t('after_button')}</Button>
        </>
      )
    case 'removed':
      return <p>{t('taken_out')}</p>
    default:
      return (
        <div className={css.question}>
          <EarlierQuestion
            banner={false}
            kinds={kinds}
            busy={step === 'removing'}
            failed={failed}
            onKeep={() => setStep('kept')}
            onRemove={() => void remove()}
          />
        </div>
      )
  }
}
