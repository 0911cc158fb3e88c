/** Another microphone, camera or loudspeaker during the call. */
import { useMediaDeviceSelect } from '@livekit/components-react'
import { useTranslation } from 'react-i18next'
import { preferences, remember } from '../../app/preferences'
import { notify } from '../../app/live'
import type { Devices } from '../../call/devices'
import { Select } from '../../ui/Fields'
import { Dialog } from '../../ui/Dialog'

const KINDS: Record<keyof Devices, MediaDeviceKind> = { microphone: 'audioinput', camera: 'videoinput', speaker: 'audiooutput' }

export default function DevicesDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation('prejoin')
  return (
    <Dialog open title={t('devices')} onClose={onClose}>
      <Choice device="microphone" label={t('microphone')} />
      <Choice device="camera" label={t('camera')} />
      {'setSinkId' in HTMLMediaElement.prototype && <Choice device="speaker" label={t('speaker')} />}
    </Dialog>
  )
}

function Choice({ device, label }: { device: keyof Devices; label: string }) {
  const { t } = useTranslation('prejoin')
  const { t: word } = useTranslation('call')
  const { devices, activeDeviceId, setActiveMediaDevice } = useMediaDeviceSelect({ kind: KINDS[device] })
  const options = devices.map(({ deviceId, label: name }, index) => ({ id: deviceId, name: name || t('device', { number: index + 1 }) }))
  const choose = async (id: string) => {
    try {
      await setActiveMediaDevice(id)
      remember({ devices: { ...preferences().devices, [device]: id } })
    } catch {
      notify(word('device_failed'), 'trouble')
    }
  }
  if (options.length === 0) return <p>{t('no_device', { what: label })}</p>
  const value = options.some(({ id }) => id === activeDeviceId) ? activeDeviceId : (options[0]?.id ?? '')
  return <Select label={label} options={options} value={value} onChange={(id) => void choose(id)} />
}
