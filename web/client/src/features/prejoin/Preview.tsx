/** One's own picture before the call, with the two switches on it. */
import { Mic, MicOff, Video, VideoOff } from 'lucide-react'
import { useEffect, useRef } from 'react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import type { Input, Preview as PreviewStore } from '../../call/preview'
import { ariaKeys } from '../../call/shortcuts'
import { Avatar } from '../../ui/Avatar'
import { ToolButton } from '../../ui/ToolButton'
import { useShortcuts } from '../shortcuts/useShortcuts'
import css from './Preview.module.css'

export function Preview({ preview, person }: { preview: PreviewStore; person: string }) {
  const { t } = useTranslation('prejoin')
  const { t: word } = useTranslation('call')
  const { microphone, camera } = useStore(preview.store)
  const toggle = (input: Input) => void preview.toggle(input)
  useShortcuts({ microphone: () => toggle('microphone'), camera: () => toggle('camera') })
  return (
    <section className={css.preview} aria-label={t('preview')}>
      <div className={css.tile}>
        {camera.track === null ? (
          <div className={css.noPicture}>
            <Avatar name={person} identity={person} />
            <p>{camera.pending ? t('camera_starting') : t('camera_is_off')}</p>
          </div>
        ) : (
          <Mirror track={camera.track} />
        )}
      </div>
      <div className={css.switches}>
        <ToolButton
          named
          icon={microphone.on ? <Mic size={22} aria-hidden /> : <MicOff size={22} aria-hidden />}
          text={microphone.on ? word('microphone') : word('microphone_off')}
          label={microphone.on ? word('mute') : word('unmute')}
          tone={microphone.on ? 'plain' : 'off'}
          keys={ariaKeys('microphone')}
          onPress={() => toggle('microphone')}
        />
        <ToolButton
          named
          icon={camera.on ? <Video size={22} aria-hidden /> : <VideoOff size={22} aria-hidden />}
          text={camera.on ? word('camera') : word('camera_off')}
          label={camera.on ? word('camera_stop') : word('camera_start')}
          tone={camera.on ? 'plain' : 'off'}
          keys={ariaKeys('camera')}
          onPress={() => toggle('camera')}
        />
      </div>
    </section>
  )
}

/** As in a mirror: people find themselves wrong the other way round. */
function Mirror({ track }: { track: MediaStreamTrack }) {
  const video = useRef<HTMLVideoElement>(null)
  useEffect(() => {
    const element = video.current
    if (element === null) return
    element.srcObject = new MediaStream([track])
    return () => {
      element.srcObject = null
    }
  }, [track])
  return <video ref={video} className={css.video} autoPlay muted playsInline aria-hidden="true" />
}
