/** Before the call: how one looks and sounds, who is there, what is captured, and the way in. */
import { LockKeyhole, ShieldCheck } from 'lucide-react'
import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import type { Meeting } from '../../app/api'
import { useFlow } from '../../app/context'
import { preferences, remember } from '../../app/preferences'
import type { Problem } from '../../app/screens'
import { running } from '../../call/capture'
import type { Preview as PreviewStore } from '../../call/preview'
import { preview as makePreview } from '../../call/preview'
import { Button } from '../../ui/Button'
import { Page, Remark } from '../../ui/Page'
import { Title } from '../../ui/Title'
import { useSentence } from '../problem/sentence'
import { DeviceChoice } from './DeviceChoice'
import { MediaHelp } from './MediaHelp'
import css from './PreJoin.module.css'
import { Preview } from './Preview'

/** How often we ask who is there by now: people wait here for minutes, and a request is small. */
const REFRESH = 10_000 // ms

interface PreJoinProps {
  meeting: Meeting
  person: string
  problem: Problem | null
  /** Given by tests. */
  makeStore?: () => PreviewStore
}

export function PreJoin({ meeting, person, problem, makeStore = () => makePreview(preferences()) }: PreJoinProps) {
  const { t } = useTranslation('prejoin')
  const flow = useFlow()
  const sentence = useSentence()
  const [preview] = useState(makeStore)
  const state = useStore(preview.store)

  useEffect(() => {
    void preview.start()
    return () => preview.stop()
  }, [preview])

  useEffect(() => {
    const timer = setInterval(() => !document.hidden && void flow.refresh(), REFRESH)
    return () => clearInterval(timer)
  }, [flow])

  useEffect(() => {
    document.title = `${meeting.title} – Palabre`
  }, [meeting.title])

  const join = () => {
    const { microphone, camera, devices } = preview.store.getState()
    remember({ devices, microphone: microphone.on, camera: camera.on })
    void flow.join(preview.take(), devices)
  }

  return (
    <Page inWidget={flow.inWidget}>
      <div className={css.columns}>
        <div className={css.left}>
          <Preview preview={preview} person={person} />
          <MediaHelp preview={preview} />
        </div>
        <section className={css.card} aria-labelledby="meeting-title">
          <div className={css.intro}>
            <Title id="meeting-title">{meeting.title}</Title>
            <WhoIsThere names={meeting.call?.participants ?? []} />
            <Encryption endToEnd={meeting.mode === 'e2ee'} />
          </div>
          <CaptureRemark meeting={meeting} />
          {problem !== null && (
            <Remark tone="danger">
              <p role="alert">{sentence(problem).text}</p>
            </Remark>
          )}
          <p className={css.person}>
            {t('as')} <strong>{person}</strong>
          </p>
          <DeviceChoice preview={preview} />
          <div className={css.enter}>
            <Button tone="primary" main onPress={join} isDisabled={state.microphone.pending || state.camera.pending}>
              {joinLabel(t, state.microphone.trouble !== null, state.camera.trouble !== null)}
            </Button>
          </div>
        </section>
      </div>
    </Page>
  )
}

/** Somebody who was refused a device reads on the button that they may come in all the same. */
function joinLabel(t: ReturnType<typeof useTranslation<'prejoin'>>['t'], noMicrophone: boolean, noCamera: boolean): string {
  if (noMicrophone && noCamera) return t('join_without_both')
  if (noMicrophone) return t('join_without_microphone')
  if (noCamera) return t('join_without_camera')
  return t('join')
}

/** More names than this are a crowd: the rest is a number. */
const NAMED = 3

function WhoIsThere({ names }: { names: string[] }) {
  const { t, i18n } = useTranslation('prejoin')
  if (names.length === 0) return <p className={css.quiet}>{t('nobody')}</p>
  const rest = names.length - NAMED
  const shown = rest > 1 ? [...names.slice(0, NAMED), t('others', { count: rest })] : names
  const list = new Intl.ListFormat(i18n.language, { type: 'conjunction' }).format(shown)
  return <p className={css.quiet}>{t('present', { count: names.length, list })}</p>
}

function Encryption({ endToEnd }: { endToEnd: boolean }) {
  const { t } = useTranslation('call')
  const Icon = endToEnd ? LockKeyhole : ShieldCheck
  return (
    <p className={`${css.quiet} ${css.encryption}`}>
      <Icon size={16} aria-hidden /> {t(endToEnd ? 'encryption_e2ee' : 'encryption_server')}
    </p>
  )
}

function CaptureRemark({ meeting }: { meeting: Meeting }) {
  const { t } = useTranslation('capture')
  const kinds = running(meeting.capture)
  if (kinds.length === 0) return null
  return (
    <Remark>
      <strong>{t(`before_${kinds.length === 2 ? 'both' : (kinds[0] ?? 'recording')}`)}</strong> {t('before_consent')}
    </Remark>
  )
}
