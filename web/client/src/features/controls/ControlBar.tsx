/** What one can do in the call, in one row: one's own devices, the panels, the rest, and the way out. */
import { MessageSquare, PhoneOff, Users } from 'lucide-react'
import { Toolbar } from 'react-aria-components'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import { ariaKeys } from '../../call/shortcuts'
import { ToolButton } from '../../ui/ToolButton'
import { useCall } from '../call/context'
import type { Panel } from '../call/CallScreen'
import { useShortcuts } from '../shortcuts/useShortcuts'
import { nextRegion } from '../shortcuts/regions'
import css from './ControlBar.module.css'
import { CameraButton, MicrophoneButton, ScreenButton } from './DeviceButtons'
import { MoreMenu } from './MoreMenu'
import { useDeviceToggles } from './useDeviceToggles'

export interface ControlBarProps {
  panel: Panel
  onPanel: (panel: 'chat' | 'people') => void
  onLeave: () => void
}

export function ControlBar({ panel, onPanel, onLeave }: ControlBarProps) {
  const { t } = useTranslation('call')
  const { session } = useCall()
  const unread = useStore(session.chat.store, (state) => state.unread)
  const toggles = useDeviceToggles()
  useShortcuts({
    microphone: toggles.microphone.toggle,
    camera: toggles.camera.toggle,
    screen: toggles.screen.toggle,
    chat: () => onPanel('chat'),
    people: () => onPanel('people'),
    regions: () => nextRegion(document),
  })
  return (
    <footer id="controls" className={css.bar} data-region>
      <Toolbar aria-label={t('controls')} className={css.tools ?? ''}>
        <MicrophoneButton {...toggles.microphone} />
        <CameraButton {...toggles.camera} />
        <ScreenButton {...toggles.screen} />
        <span className={css.divide} aria-hidden="true" />
        <ToolButton
          icon={<MessageSquare size={22} aria-hidden />}
          text={t('chat')}
          label={unread > 0 ? t('chat_unread', { count: unread }) : t('chat')}
          badge={unread}
          pressed={panel === 'chat'}
          keys={ariaKeys('chat')}
          onPress={() => onPanel('chat')}
        />
        <ToolButton
          spare
          icon={<Users size={22} aria-hidden />}
          text={t('people')}
          pressed={panel === 'people'}
          keys={ariaKeys('people')}
          onPress={() => onPanel('people')}
        />
        <MoreMenu onPeople={() => onPanel('people')} />
        <ToolButton tone="leave" icon={<PhoneOff size={22} aria-hidden />} text={t('leave')} label={t('leave_label')} onPress={onLeave} />
      </Toolbar>
    </footer>
  )
}
