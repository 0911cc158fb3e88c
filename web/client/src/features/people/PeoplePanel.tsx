/** Who is there: name, devices, and what each answered to being recorded or transcribed. */
import { useParticipants } from '@livekit/components-react'
import type { Participant } from 'livekit-client'
import { Check, CircleHelp, Mic, MicOff, Video, VideoOff, X } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import type { Kind, Standing } from '../../call/capture'
import { running } from '../../call/capture'
import { useAttribute, useCameraOn, useMicrophoneOn, useName } from '../../hooks/participants'
import { Avatar } from '../../ui/Avatar'
import { Chip } from '../../ui/Chip'
import { Panel } from '../../ui/Panel'
import { useCaptureModel } from '../capture/context'
import css from './PeoplePanel.module.css'

export function PeoplePanel({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation('call')
  const people = useParticipants()
  const kinds = running(useStore(useCaptureModel().store).capture)
  return (
    <Panel title={t('people_count', { count: people.length })} onClose={onClose}>
      <ul className={css.people}>
        {people.map((person) => (
          <Row key={person.identity} person={person} kinds={kinds} />
        ))}
      </ul>
    </Panel>
  )
}

function Row({ person, kinds }: { person: Participant; kinds: Kind[] }) {
  const { t } = useTranslation('call')
  const name = useName(person)
  const guest = useAttribute(person, 'palabre.guest') === '1'
  const microphone = useMicrophoneOn(person)
  const camera = useCameraOn(person)
  return (
    <li className={css.person}>
      <Avatar small name={name} identity={person.identity} />
      <div className={css.who}>
        <span className={css.name}>{person.isLocal ? t('you', { name }) : name}</span>
        {guest && <span className={css.guest}>{t('guest')}</span>}
        {kinds.map((kind) => (
          <StandingOf key={kind} person={person} kind={kind} />
        ))}
      </div>
      <span className={css.devices}>
        {microphone ? <Mic size={18} aria-hidden /> : <MicOff size={18} aria-hidden className={css.off} />}
        {camera ? <Video size={18} aria-hidden /> : <VideoOff size={18} aria-hidden className={css.off} />}
        <span className="visually-hidden">
          {t(microphone ? 'microphone_is_on' : 'microphone_is_off')}, {t(camera ? 'camera_is_on' : 'camera_is_off')}
        </span>
      </span>
    </li>
  )
}

const SHOWN = {
  yes: { tone: 'ok', icon: <Check size={16} aria-hidden /> },
  no: { tone: 'no', icon: <X size={16} aria-hidden /> },
  asked: { tone: 'waiting', icon: <CircleHelp size={16} aria-hidden /> },
} as const

function StandingOf({ person, kind }: { person: Participant; kind: Kind }) {
  const { t } = useTranslation('capture')
  const value = useAttribute(person, `palabre.consent.${kind}`)
  const standing: NonNullable<Standing> = value === 'yes' || value === 'no' ? value : 'asked'
  const { tone, icon } = SHOWN[standing]
  return (
    <Chip tone={tone} icon={icon}>
      {t(`standing_${kind}_${standing}`)}
    </Chip>
  )
}
