/** Who is there: name, devices, and what each answered to being recorded or transcribed. */
import type { Participant } from 'livekit-client'
import { Check, CircleDot, CircleHelp, Mic, MicOff, Video, VideoOff, X } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import type { Kind, Standing } from '../../call/capture'
import { running } from '../../call/capture'
import type { Person } from '../../call/roster'
import { useAttribute, useCameraOn, useMicrophoneOn } from '../../hooks/participants'
import { Avatar } from '../../ui/Avatar'
import { Chip } from '../../ui/Chip'
import { Panel } from '../../ui/Panel'
import { useRoster } from '../call/context'
import { useCaptureModel } from '../capture/context'
import { Moderation } from '../moderation/Moderation'
import css from './PeoplePanel.module.css'

export default function PeoplePanel({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation('call')
  const { people } = useRoster()
  const kinds = running(useStore(useCaptureModel().store).capture)
  const persons = people.filter(({ recorder }) => !recorder)
  const recorders = people.filter(({ recorder }) => recorder)
  return (
    <Panel title={t('people_count', { count: persons.length })} onClose={onClose}>
      <ul className={css.people}>
        {persons.map((person) => (
          <Row key={person.identity} person={person} kinds={kinds} />
        ))}
        {recorders.map((recorder) => (
          <Recorder key={recorder.identity} name={recorder.name} />
        ))}
      </ul>
    </Panel>
  )
}

function Row({ person, kinds }: { person: Person; kinds: Kind[] }) {
  const { t } = useTranslation('call')
  const { name, participant } = person
  return (
    <li className={css.person}>
      <Avatar small name={name} identity={person.identity} />
      <div className={css.who}>
        <span className={css.name}>{person.isLocal ? t('you', { name }) : name}</span>
        {person.waiting !== null && <span className={css.remark}>{t(`waiting_${person.waiting}`)}</span>}
        {participant !== null && <Facts participant={participant} kinds={kinds} />}
      </div>
      {participant !== null && <DevicesOf participant={participant} />}
      <span className={css.menu}>
        <Moderation person={person} />
      </span>
    </li>
  )
}

function Facts({ participant, kinds }: { participant: Participant; kinds: Kind[] }) {
  const { t } = useTranslation('call')
  const guest = useAttribute(participant, 'palabre.guest') === '1'
  const mutedBy = useAttribute(participant, 'palabre.muted_by')
  return (
    <>
      {guest && <span className={css.remark}>{t('guest')}</span>}
      {mutedBy && <span className={css.remark}>{t('muted_by_remark', { name: mutedBy })}</span>}
      {kinds.map((kind) => (
        <StandingOf key={kind} person={participant} kind={kind} />
      ))}
    </>
  )
}

function DevicesOf({ participant }: { participant: Participant }) {
  const { t } = useTranslation('call')
  const microphone = useMicrophoneOn(participant)
  const camera = useCameraOn(participant)
  return (
    <span className={css.devices}>
      {microphone ? <Mic size={18} aria-hidden /> : <MicOff size={18} aria-hidden className={css.off} />}
      {camera ? <Video size={18} aria-hidden /> : <VideoOff size={18} aria-hidden className={css.off} />}
      <span className="visually-hidden">
        {t(microphone ? 'microphone_is_on' : 'microphone_is_off')}, {t(camera ? 'camera_is_on' : 'camera_is_off')}
      </span>
    </span>
  )
}

/** The service: it hears those who agreed, and has neither face nor voice. */
function Recorder({ name }: { name: string }) {
  const { t } = useTranslation('call')
  return (
    <li className={css.person}>
      <span className={css.recorder}>
        <CircleDot size={20} aria-hidden />
      </span>
      <div className={css.who}>
        <span className={css.name}>{name}</span>
        <span className={css.remark}>{t('recorder')}</span>
      </div>
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
