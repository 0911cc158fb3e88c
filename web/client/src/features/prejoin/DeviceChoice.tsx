/** Which microphone, camera and loudspeaker, with a bar that moves when one speaks and a sound to try. */
import { Volume2 } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import type { Devices } from '../../call/devices'
import type { Preview } from '../../call/preview'
import { Button } from '../../ui/Button'
import { Select } from '../../ui/Fields'
import css from './DeviceChoice.module.css'
import { LevelMeter } from './LevelMeter'
import { canChooseSpeaker, playChime } from './speaker'

export function DeviceChoice({ preview }: { preview: Preview }) {
  const { t } = useTranslation('prejoin')
  const { microphone, camera, devices, available } = useStore(preview.store)
  // On a small screen the choice is folded away: it would push the way in below the fold.
  const roomy = window.matchMedia('(min-height: 40.01em) and (min-width: 48.01em)').matches

  const select = (device: keyof Devices, label: string) => {
    const options = available[device].map(({ id, name }, index) => ({ id, name: name || t('device', { number: index + 1 }) }))
    if (options.length === 0) return null
    const value = options.some(({ id }) => id === devices[device]) ? devices[device] : (options[0]?.id ?? '')
    return <Select label={label} options={options} value={value} onChange={(id) => void preview.choose(device, id)} />
  }

  return (
    <>
      {microphone.track !== null && <LevelMeter track={microphone.track} label={t('level')} hint={t('level_hint')} />}
      <details className={css.devices} open={roomy}>
        <summary>{t('devices')}</summary>
        <div className={css.fields}>
          {microphone.trouble === null && select('microphone', t('microphone'))}
          {camera.trouble === null && select('camera', t('camera'))}
          {canChooseSpeaker() && available.speaker.length > 0 && (
            <div className={css.speaker}>
              {select('speaker', t('speaker'))}
              <Button icon={<Volume2 size={18} aria-hidden />} onPress={() => void playChime(devices.speaker)}>
                {t('speaker_test')}
              </Button>
            </div>
          )}
        </div>
      </details>
    </>
  )
}
