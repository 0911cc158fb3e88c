/** That programs take part in the call, which ones, and the person's own answer, to be changed at will. */
import { Bot } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { Button } from '../../ui/Button'
import { ChipButton } from '../../ui/Chip'
import { Popover } from '../../ui/Overlay'
import css from '../capture/Capture.module.css'
import { useHearing } from './useHearing'

export default function AgentChip() {
  const { t } = useTranslation('capture')
  const { names, standing, answer } = useHearing()
  if (names.length === 0 || standing === null) return null
  return (
    <Popover
      title={t('agent_running', { names: names.join(', ') })}
      trigger={
        <ChipButton tone="accent" icon={<Bot size={16} aria-hidden />} shrinks="early">
          {t('agent')}
        </ChipButton>
      }
    >
      <p>
        <strong>{t(`own_${standing}`)}</strong> {t(`own_${standing}_means_agent`)}
      </p>
      <div className={css.actions}>
        {standing !== 'yes' && <Button onPress={() => void answer('yes')}>{t('agree')}</Button>}
        {standing === 'asked' && <Button onPress={() => void answer('no')}>{t('decline')}</Button>}
        {standing === 'yes' && <Button onPress={() => void answer('no')}>{t('withdraw')}</Button>}
      </div>
    </Popover>
  )
}
