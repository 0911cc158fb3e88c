/** What is being recorded and transcribed, by whom since when, and the person's own answer, to be changed at will. */
import { FileText } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import type { Kind, Running } from '../../call/capture'
import { KINDS } from '../../call/capture'
import { sending, standing } from '../../call/consent'
import { useMay } from '../../hooks/participants'
import { Button } from '../../ui/Button'
import { ChipButton } from '../../ui/Chip'
import { Popover } from '../../ui/Overlay'
import { useCall } from '../call/context'
import css from './Capture.module.css'
import { useCaptureModel } from './context'
import { useStopCapture } from './useCaptureActions'

export function CaptureChips() {
  const model = useCaptureModel()
  const { capture } = useStore(model.store)
  return KINDS.map((kind) => {
    const running = capture[kind]
    return running === null ? null : <CaptureChip key={kind} kind={kind} running={running} />
  })
}

function CaptureChip({ kind, running }: { kind: Kind; running: Running }) {
  const { t, i18n } = useTranslation('capture')
  const model = useCaptureModel()
  const since = new Intl.DateTimeFormat(i18n.language, { hour: '2-digit', minute: '2-digit' }).format(running.since * 1000)
  return (
    <Popover
      title={t(`${kind}_running`)}
      trigger={
        <ChipButton
          {...(kind === 'transcription' ? { shrinks: 'early' as const } : {})}
          tone={kind === 'recording' ? 'alert' : 'accent'}
          icon={kind === 'recording' ? <span className={css.dot} aria-hidden="true" /> : <FileText size={16} aria-hidden />}
        >
          {t(kind)}
        </ChipButton>
      }
    >
      <p>{t('started_by', { name: model.nameOf(running.by), time: since })}</p>
      <OwnAnswer kind={kind} />
      <StopButton kind={kind} />
    </Popover>
  )
}

function OwnAnswer({ kind }: { kind: Kind }) {
  const { t } = useTranslation('capture')
  const model = useCaptureModel()
  const { capture, standings, consent, earlier } = useStore(model.store)
  const { stay } = useCall()
  const mine = standing(kind, consent, capture, standings)
  if (mine === null) return null
  if (stay?.endToEnd === true && sending(consent, standings).includes(kind)) return <p>{t('answer_sending')}</p>
  return (
    <>
      <p>
        <strong>{t(`own_${mine}`)}</strong> {t(`own_${mine}_means_${kind}`)}
      </p>
      {earlier[kind] === 'kept' && mine === 'no' && <p>{t('earlier_kept')}</p>}
      <div className={css.actions}>
        {mine !== 'yes' && <Button onPress={() => void model.answer([kind], 'yes')}>{t('agree')}</Button>}
        {mine === 'asked' && <Button onPress={() => void model.answer([kind], 'no')}>{t('decline')}</Button>}
        {/* Both close the popover: the question about the earlier part is the banner's. */}
        {mine === 'yes' && <Button slot="close" onPress={() => void model.answer([kind], 'no')}>{t('withdraw')}</Button>}
        {earlier[kind] === 'kept' && mine === 'no' && <Button slot="close" onPress={() => model.askEarlier(kind)}>{t('earlier_change')}</Button>}
      </div>
    </>
  )
}

function StopButton({ kind }: { kind: Kind }) {
  const { t } = useTranslation('capture')
  const may = useMay('capture')
  const stop = useStopCapture()
  if (!may) return null
  return (
    <div className={css.actions}>
      <Button tone="danger" onPress={() => void stop([kind])}>
        {t(`stop_${kind}`)}
      </Button>
    </div>
  )
}
