/** What is wanted less often: recording and transcription, devices, shortcuts; and the dialogs that go with them. */
import { Circle, CircleStop, Ellipsis, FileText, Keyboard, Settings2, Users } from 'lucide-react'
import { Suspense, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import type { Kind } from '../../call/capture'
import { useMay } from '../../hooks/participants'
import type { MenuEntry } from '../../ui/Overlay'
import { Menu } from '../../ui/Overlay'
import { fetched } from '../later/fetched'
import { ToolButton } from '../../ui/ToolButton'
import { useCaptureModel } from '../capture/context'
import { useShortcuts } from '../shortcuts/useShortcuts'

const CaptureDialog = fetched('CaptureDialog')
const DevicesDialog = fetched('DevicesDialog')
const ShortcutsDialog = fetched('ShortcutsDialog')

type Shown = Kind | 'devices' | 'shortcuts' | null

export function MoreMenu({ onPeople }: { onPeople: () => void }) {
  const { t } = useTranslation('call')
  const [shown, setShown] = useState<Shown>(null)
  const captures = useCaptureEntries(setShown)
  const narrow = window.matchMedia('(max-width: 45em), (max-height: 30em)').matches
  const close = () => setShown(null)
  useShortcuts({ help: () => setShown('shortcuts') })
  const entries: MenuEntry[] = [
    ...(narrow ? [{ id: 'people', icon: <Users size={20} aria-hidden />, text: t('people'), onAction: onPeople }] : []),
    ...captures,
    { id: 'devices', icon: <Settings2 size={20} aria-hidden />, text: t('devices'), onAction: () => setShown('devices') },
    { id: 'shortcuts', icon: <Keyboard size={20} aria-hidden />, text: t('shortcuts'), hint: 'F1', onAction: () => setShown('shortcuts') },
  ]
  return (
    <>
      <Menu
        label={t('more_label')}
        trigger={<ToolButton icon={<Ellipsis size={22} aria-hidden />} text={t('more')} label={t('more_label')} />}
        entries={entries}
      />
      <Suspense>
        {(shown === 'recording' || shown === 'transcription') && <CaptureDialog kind={shown} onClose={close} />}
        {shown === 'devices' && <DevicesDialog onClose={close} />}
        {shown === 'shortcuts' && <ShortcutsDialog onClose={close} />}
      </Suspense>
    </>
  )
}

function useCaptureEntries(show: (kind: Kind) => void): MenuEntry[] {
  const { t } = useTranslation('capture')
  const may = useMay('capture')
  const { capture } = useStore(useCaptureModel().store)
  if (!may) return []
  return [
    {
      id: 'recording',
      icon: capture.recording === null ? <Circle size={20} aria-hidden /> : <CircleStop size={20} aria-hidden />,
      text: t(capture.recording === null ? 'menu_start_recording' : 'menu_stop_recording'),
      onAction: () => show('recording'),
    },
    {
      id: 'transcription',
      icon: <FileText size={20} aria-hidden />,
      text: t(capture.transcription === null ? 'menu_start_transcription' : 'menu_stop_transcription'),
      onAction: () => show('transcription'),
    },
  ]
}
