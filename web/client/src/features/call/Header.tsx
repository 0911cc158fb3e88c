/** Which meeting this is, how safe it is, what is captured, how many are there, and what time it is. */
import { Users } from 'lucide-react'
import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import { useFlow } from '../../app/context'
import { running } from '../../call/capture'
import { Chip } from '../../ui/Chip'
import { Mark } from '../../ui/Page'
import { Title } from '../../ui/Title'
import { Agents } from '../agents/Agents'
import { CaptureChips } from '../capture/CaptureChips'
import { useCaptureModel } from '../capture/context'
import { EncryptionChip } from '../encryption/EncryptionChip'
import { useCall, useRoster } from './context'
import css from './Header.module.css'

export function Header({ title }: { title: string }) {
  const { t } = useTranslation('call')
  const flow = useFlow()
  const { pass } = useCall()
  const people = useRoster().people.filter(({ recorder }) => !recorder)
  const { capture } = useStore(useCaptureModel().store)
  return (
    <header className={css.header}>
      {!flow.inWidget && (
        <span className={css.mark}>
          <Mark />
        </span>
      )}
      <Title className={css.title}>{title}</Title>
      <div className={css.chips}>
        <EncryptionChip endToEnd={pass.mode === 'e2ee'} crowded={running(capture).length > 0} />
        <CaptureChips />
        <Agents as="chip" />
        <span className={css.spare}>
          <Chip icon={<Users size={16} aria-hidden />}>{t('count', { count: people.length })}</Chip>
        </span>
        <Clock />
      </div>
    </header>
  )
}

function Clock() {
  const { i18n } = useTranslation()
  const [now, setNow] = useState(() => new Date())
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 10_000)
    return () => clearInterval(timer)
  }, [])
  return (
    <time className={css.clock} dateTime={now.toISOString()}>
      {new Intl.DateTimeFormat(i18n.language, { hour: '2-digit', minute: '2-digit' }).format(now)}
    </time>
  )
}
