/** Are you sure? Before recording or transcription starts, and before it stops. */
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import type { Kind } from '../../call/capture'
import { Button } from '../../ui/Button'
import { Dialog, DialogButtons } from '../../ui/Dialog'
import css from './Capture.module.css'
import { useCaptureModel } from './context'
import { useStartCapture, useStopCapture } from './useCaptureActions'

interface CaptureDialogProps {
  kind: Kind
  onClose: () => void
}

export default function CaptureDialog({ kind, onClose }: CaptureDialogProps) {
  const { capture } = useStore(useCaptureModel().store)
  // What the dialog asks stays while it closes, whatever the server says meanwhile.
  const [stopping] = useState(capture[kind] !== null)
  const [both] = useState(kind === 'recording' && capture.transcription === null)
  return stopping ? <Stop kind={kind} onClose={onClose} /> : <Start kind={kind} offerBoth={both} onClose={onClose} />
}

function Start({ kind, offerBoth, onClose }: CaptureDialogProps & { offerBoth: boolean }) {
  const { t } = useTranslation('record')
  const { t: common } = useTranslation()
  const start = useStartCapture()
  const [also, setAlso] = useState(offerBoth)
  const go = () => {
    void start(also ? ['recording', 'transcription'] : [kind])
    onClose()
  }
  return (
    <Dialog open title={t(`start_${kind}_title`)} onClose={onClose}>
      <p>{t(`start_${kind}_text`)}</p>
      <p>{t('start_consent')}</p>
      {offerBoth && (
        <label className={css.also}>
          <input type="checkbox" checked={also} onChange={(event) => setAlso(event.target.checked)} />
          {t('start_also')}
        </label>
      )}
      <DialogButtons>
        <Button onPress={onClose}>{common('cancel')}</Button>
        <Button tone="primary" autoFocus onPress={go}>
          {t(`start_${kind}`)}
        </Button>
      </DialogButtons>
    </Dialog>
  )
}

function Stop({ kind, onClose }: CaptureDialogProps) {
  const { t } = useTranslation('record')
  const { t: capture } = useTranslation('capture')
  const { t: common } = useTranslation()
  const stop = useStopCapture()
  const go = () => {
    void stop([kind])
    onClose()
  }
  return (
    <Dialog open title={t(`stop_${kind}_title`)} onClose={onClose}>
      <p>{t(`stop_${kind}_text`)}</p>
      <DialogButtons>
        <Button onPress={onClose}>{common('cancel')}</Button>
        <Button tone="danger" autoFocus onPress={go}>
          {capture(`stop_${kind}`)}
        </Button>
      </DialogButtons>
    </Dialog>
  )
}
