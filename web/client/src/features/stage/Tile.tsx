/** One picture: a person, or the screen that somebody shares. */
import type { TrackReferenceOrPlaceholder } from '@livekit/components-react'
import { isTrackReference, useConnectionQualityIndicator, useIsSpeaking, VideoTrack } from '@livekit/components-react'
import { ConnectionQuality, Track } from 'livekit-client'
import { Mic, MicOff, MonitorUp, WifiLow } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { useCameraOn, useMicrophoneOn, useName } from '../../hooks/participants'
import { Avatar } from '../../ui/Avatar'
import css from './Tile.module.css'

export function keyOf({ participant, source }: TrackReferenceOrPlaceholder): string {
  return `${participant.identity} ${source}`
}

export function Tile({ track }: { track: TrackReferenceOrPlaceholder }) {
  return track.source === Track.Source.ScreenShare ? <Screen track={track} /> : <Person track={track} />
}

function Person({ track }: { track: TrackReferenceOrPlaceholder }) {
  const { t } = useTranslation('call')
  const { participant } = track
  const name = useName(participant)
  const speaking = useIsSpeaking(participant)
  const microphone = useMicrophoneOn(participant)
  const camera = useCameraOn(participant)
  const { quality } = useConnectionQualityIndicator({ participant })
  const weak = quality === ConnectionQuality.Poor || quality === ConnectionQuality.Lost
  const shown = participant.isLocal ? t('you', { name }) : name
  const states = [microphone ? '' : t('is_muted'), speaking ? t('is_speaking') : '', weak ? t('is_weak') : '']
  return (
    <article className={css.tile} data-speaking={(speaking && microphone) || undefined} aria-label={[shown, ...states.filter(Boolean)].join(', ')}>
      {isTrackReference(track) && camera ? (
        <VideoTrack trackRef={track} className={`${css.video} ${participant.isLocal ? css.mirrored : ''}`} aria-hidden="true" />
      ) : (
        <Avatar name={name} identity={participant.identity} />
      )}
      <span className={css.plate} aria-hidden="true">
        {microphone ? <Mic size={15} className={css.wave} /> : <MicOff size={15} className={css.muted} />}
        <span className={css.name}>{shown}</span>
        {weak && <WifiLow size={15} />}
      </span>
    </article>
  )
}

function Screen({ track }: { track: TrackReferenceOrPlaceholder }) {
  const { t } = useTranslation('call')
  const label = t('screen_of', { name: useName(track.participant) })
  return (
    <article className={`${css.tile} ${css.screen}`} aria-label={label}>
      {isTrackReference(track) && <VideoTrack trackRef={track} className={css.video} aria-hidden="true" />}
      <span className={css.plate} aria-hidden="true">
        <MonitorUp size={15} />
        <span className={css.name}>{label}</span>
      </span>
    </article>
  )
}
