/** After somebody took their yes back: is what was captured of them kept, or removed? In the call, or after it. */
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { announce } from '../../app/live'
import { useFlow } from '../../app/context'
import type { Kind } from '../../call/capture'
import { Banner } from '../../ui/Banner'
import { Button } from '../../ui/Button'
import { useSentence } from '../problem/sentence'
import { span } from './span'

interface EarlierQuestionProps {
  kinds: readonly Kind[]
  busy: boolean
  /** Code of why it could not be removed. */
  failed: string | null
  /** Among the banners, which F6 reaches; else it stands where the person has just pressed a button. */
  banner: boolean
  onKeep: () => void
  onRemove: () => void
}

export function EarlierQuestion({ kinds, busy, failed, banner, onKeep, onRemove }: EarlierQuestionProps) {
  const { t } = useTranslation('earlier')
  const { t: capture } = useTranslation('capture')
  const sentence = useSentence()
  const title = t(`title_${kinds.length === 2 ? 'both' : (kinds[0] ?? 'recording')}`)
  useEffect(() => announce(banner ? `${title} ${capture('ask_announced')}` : title, true), [title, banner, capture])
  return (
    <Banner
      title={title}
      actions={
        <>
          <Button autoFocus={!banner} isDisabled={busy} onPress={onKeep}>
            {t('keep')}
          </Button>
          <Button isDisabled={busy} onPress={onRemove}>
            {t('take_out')}
          </Button>
        </>
      }
    >
      {t('means')} <Until />
      {failed !== null && <strong role="alert"> {sentence({ code: failed }).text}</strong>}
    </Banner>
  )
}

/** Until when whoever keeps it can still change their mind. */
export function Until() {
  const { t, i18n } = useTranslation('earlier')
  const { commandPrefix: prefix, forgetSeconds } = useFlow().api.service
  return forgetSeconds > 0 ? t('until_after', { prefix, time: span(forgetSeconds, i18n.language) }) : t('until_end', { prefix })
}
