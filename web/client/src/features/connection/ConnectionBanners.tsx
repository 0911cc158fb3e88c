/** What matters while it lasts: a lost connection, sound held back, one's own shared screen, no right to speak. */
import { useAudioPlayback, useConnectionState, useLocalParticipant, useRoomContext } from '@livekit/components-react'
import { ConnectionState } from 'livekit-client'
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { announce } from '../../app/live'
import { useMay } from '../../hooks/participants'
import { Banner } from '../../ui/Banner'
import { Button } from '../../ui/Button'

export function ConnectionBanners() {
  return (
    <>
      <Reconnecting />
      <SoundBlocked />
      <OwnScreen />
      <ListenOnly />
    </>
  )
}

function Reconnecting() {
  const { t } = useTranslation('call')
  const state = useConnectionState()
  const lost = state === ConnectionState.Reconnecting || state === ConnectionState.SignalReconnecting
  useEffect(() => {
    if (!lost) return
    announce(t('reconnecting_title'), true)
    return () => announce(t('reconnected'))
  }, [lost, t])
  if (!lost) return null
  return (
    <Banner tone="danger" title={t('reconnecting_title')}>
      {t('reconnecting_text')}
    </Banner>
  )
}

function SoundBlocked() {
  const { t } = useTranslation('call')
  const room = useRoomContext()
  const { canPlayAudio } = useAudioPlayback(room)
  if (canPlayAudio) return null
  return (
    <Banner title={t('sound_blocked')} actions={<Button onPress={() => void room.startAudio()}>{t('sound_start')}</Button>} />
  )
}

function OwnScreen() {
  const { t } = useTranslation('call')
  const { isScreenShareEnabled, localParticipant } = useLocalParticipant()
  if (!isScreenShareEnabled) return null
  return (
    <Banner
      tone="calm"
      title={t('own_screen')}
      actions={<Button onPress={() => void localParticipant.setScreenShareEnabled(false)}>{t('own_screen_stop')}</Button>}
    />
  )
}

function ListenOnly() {
  const { t } = useTranslation('call')
  const speak = useMay('microphone')
  const show = useMay('camera')
  return speak || show ? null : <Banner tone="calm" title={t('listen_only')} />
}
