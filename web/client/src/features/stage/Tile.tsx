/** One picture: a person, or the screen that somebody shares. What can't be seen yet says why. */
import { useConnectionQualityIndicator, useIsSpeaking, VideoTrack } from '@livekit/components-react'
import type { Participant } from 'livekit-client'
import { ConnectionQuality, Track } from 'livekit-client'
import { Hourglass, KeyRound, Mic, MicOff, MonitorUp, WifiLow } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import type { Person, Picture } from '../../call/roster'
import { pictureOf } from '../../call/roster'
import { useCameraOn, useMicrophoneOn } from '../../hooks/participants'
import { Avatar } from '../../ui/Avatar'
import { Moderation } from '../moderation/Moderation'
import css from './Tile.module.css'

export function PersonTile({ person }: { person: Person }) {
  const { participant } = person
  return participant === null ? <Absent person={person} /> : <Present person={person} participant={participant} />
}

/** In the room's list, but on no relay that we hear. */
function Absent({ person }: { person: Person }) {
  const { t } = useTranslation('call')
  const reason = person.waiting ?? 'media'
  return (
    <article className={css.tile} aria-label={`${person.name}, ${t(`waiting_${reason}`)}`}>
      <Avatar name={person.name} identity={person.identity} />
      <Waiting reason={reason} />
      <span className={css.plate} aria-hidden="true">
        <span className={css.name}>{person.name}</span>
      </span>
    </article>
  )
}

function Present({ person, participant }: { person: Person; participant: Participant }) {
  const { t } = useTranslation('call')
  const { name, isLocal, waiting } = person
  const speaking = useIsSpeaking(participant) && waiting === null
  const microphone = useMicrophoneOn(participant)
  const camera = useCameraOn(participant)
  const { quality } = useConnectionQualityIndicator({ participant })
  const weak = quality === ConnectionQuality.Poor || quality === ConnectionQuality.Lost
  const picture = camera && waiting === null ? pictureOf(person, Track.Source.Camera) : null
  const shown = isLocal ? t('you', { name }) : name
  const states = [
    microphone ? '' : t('is_muted'),
    speaking ? t('is_speaking') : '',
    weak ? t('is_weak') : '',
    waiting === null ? '' : t(`waiting_${waiting}`),
  ]
  return (
    <article className={css.tile} data-speaking={(speaking && microphone) || undefined} aria-label={[shown, ...states.filter(Boolean)].join(', ')}>
      {picture !== null ? (
        <VideoTrack trackRef={picture} className={`${css.video} ${isLocal ? css.mirrored : ''}`} aria-hidden="true" />
      ) : (
        <Avatar name={name} identity={person.identity} />
      )}
      {waiting !== null && <Waiting reason={waiting} />}
      <span className={css.plate} aria-hidden="true">
        {microphone ? <Mic size={15} className={css.wave} /> : <MicOff size={15} className={css.muted} />}
        <span className={css.name}>{shown}</span>
        {weak && <WifiLow size={15} />}
      </span>
      <span className={css.menu}>
        <Moderation person={person} />
      </span>
    </article>
  )
}

function Waiting({ reason }: { reason: NonNullable<Person['waiting']> }) {
  const { t } = useTranslation('call')
  const Icon = reason === 'keys' ? KeyRound : Hourglass
  return (
    <span className={css.waiting} aria-hidden="true">
      <Icon size={15} />
      <span className={css.reason}>{t(`waiting_${reason}`)}</span>
    </span>
  )
}

export function ScreenTile({ picture }: { picture: Picture }) {
  const { t } = useTranslation('call')
  const { person } = picture
  const label = t('screen_of', { name: person.name })
  const waiting = person.waiting === 'keys'
  return (
    <article className={`${css.tile} ${css.screen}`} aria-label={waiting ? `${label}, ${t('waiting_keys')}` : label}>
      {waiting ? <Waiting reason="keys" /> : <VideoTrack trackRef={picture} className={css.video} aria-hidden="true" />}
      <span className={css.plate} aria-hidden="true">
        <MonitorUp size={15} />
        <span className={css.name}>{label}</span>
      </span>
    </article>
  )
}
