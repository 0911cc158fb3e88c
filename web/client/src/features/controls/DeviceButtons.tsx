/** The three switches of one's own devices. What is off, or not allowed, says so in words, in shape and in colour. */
import { Mic, MicOff, MonitorUp, MonitorX, Video, VideoOff } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { ariaKeys } from '../../call/shortcuts'
import { ToolButton } from '../../ui/ToolButton'
import type { Toggle } from './useDeviceToggles'

export function MicrophoneButton({ on, pending, locked, toggle }: Toggle) {
  const { t } = useTranslation('call')
  return (
    <ToolButton
      icon={on ? <Mic size={22} aria-hidden /> : <MicOff size={22} aria-hidden />}
      text={on || locked ? t('microphone') : t('microphone_off')}
      label={locked ? t('locked', { what: t('microphone') }) : on ? t('mute') : t('unmute')}
      tone={locked ? 'locked' : on ? 'plain' : 'off'}
      keys={ariaKeys('microphone')}
      disabled={pending}
      onPress={toggle}
    />
  )
}

export function CameraButton({ on, pending, locked, toggle }: Toggle) {
  const { t } = useTranslation('call')
  return (
    <ToolButton
      icon={on ? <Video size={22} aria-hidden /> : <VideoOff size={22} aria-hidden />}
      text={on || locked ? t('camera') : t('camera_off')}
      label={locked ? t('locked', { what: t('camera') }) : on ? t('camera_stop') : t('camera_start')}
      tone={locked ? 'locked' : on ? 'plain' : 'off'}
      keys={ariaKeys('camera')}
      disabled={pending}
      onPress={toggle}
    />
  )
}

/** Phones' browsers can't share a screen: then there is no button. */
export function ScreenButton({ on, pending, locked, toggle }: Toggle) {
  const { t } = useTranslation('call')
  if (typeof navigator.mediaDevices?.getDisplayMedia !== 'function') return null
  return (
    <ToolButton
      icon={on ? <MonitorX size={22} aria-hidden /> : <MonitorUp size={22} aria-hidden />}
      text={on ? t('screen_stop_short') : t('screen')}
      label={locked ? t('locked', { what: t('screen') }) : on ? t('own_screen_stop') : t('screen_label')}
      {...(locked ? { tone: 'locked' as const } : { pressed: on })}
      keys={ariaKeys('screen')}
      disabled={pending}
      onPress={toggle}
    />
  )
}
