/** Microphone, camera and shared screen as switches, with a sentence when the browser refuses. */
import { useTrackToggle } from '@livekit/components-react'
import { Track } from 'livekit-client'
import { useTranslation } from 'react-i18next'
import { announce, notify } from '../../app/live'
import type { Device } from '../../call/media'
import { deviceAllowed, isCancelled, mediaTrouble } from '../../call/media'
import { screenOptions } from '../../call/options'
import { useMay } from '../../hooks/participants'

export interface Toggle {
  on: boolean
  pending: boolean
  /** The room does not allow it: the switch stays in its place and says so. */
  locked: boolean
  toggle: () => void
}

const SOURCES = {
  microphone: Track.Source.Microphone,
  camera: Track.Source.Camera,
  screen: Track.Source.ScreenShare,
} as const

export function useDeviceToggles(): Record<Device, Toggle> {
  const microphone = useDevice('microphone')
  const camera = useDevice('camera')
  const screen = useDevice('screen')
  return { microphone, camera, screen }
}

function useDevice(device: Device): Toggle {
  const { t } = useTranslation('call')
  const { t: help } = useTranslation('prejoin')
  const locked = !useMay(device)
  const { enabled, pending, toggle } = useTrackToggle({
    source: SOURCES[device],
    ...(device === 'screen' ? { captureOptions: screenOptions } : {}),
  } as { source: (typeof SOURCES)[Device] })
  const press = async () => {
    if (pending) return
    if (locked) return notify(t('locked', { what: t(device) }))
    try {
      await toggle()
      // Silence is not heard: whoever cannot see the button is told.
      if (device !== 'screen') announce(t(enabled ? `${device}_is_off` : `${device}_is_on`))
    } catch (error) {
      const allowed = deviceAllowed(device)
      if (device === 'screen') {
        if (!allowed) notify(t('screen_embedded'), 'trouble')
        else if (!isCancelled(error)) notify(t('screen_failed'), 'trouble')
        return
      }
      notify(`${help(`trouble_${device}`)} ${help(`trouble_${mediaTrouble(error, allowed)}`)}`, 'trouble')
    }
  }
  return { on: enabled && !locked, pending, locked, toggle: () => void press() }
}
