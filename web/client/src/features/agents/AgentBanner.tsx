/** Asks the person whether the programs in the call may hear them. Two real answers of the same weight. */
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { announce } from '../../app/live'
import { Banner } from '../../ui/Banner'
import { Button } from '../../ui/Button'
import { useSentence } from '../problem/sentence'
import { useHearing } from './useHearing'

export default function AgentBanner() {
  const { t } = useTranslation('capture')
  const sentence = useSentence()
  const { names, standing, failed, answer } = useHearing()
  const asks = standing === 'asked' && names.length > 0
  const title = asks ? t('agent_ask', { names: names.join(', ') }) : ''
  useEffect(() => {
    if (title !== '') announce(`${title} ${t('ask_announced')}`, true)
  }, [title, t])
  if (!asks) return null
  return (
    <Banner
      title={title}
      actions={
        <>
          <Button onPress={() => void answer('yes')}>{t('agree')}</Button>
          <Button onPress={() => void answer('no')}>{t('decline')}</Button>
        </>
      }
    >
      {t('agent_ask_means')}
      {failed !== null && <strong role="alert"> {sentence({ code: failed }).text}</strong>}
    </Banner>
  )
}
