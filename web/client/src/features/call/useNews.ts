/** Says aloud what happens around the person: who comes and goes, shares a screen, writes, records. */
import { useRoomContext } from '@livekit/components-react'
import type { Participant, TrackPublication } from 'livekit-client'
import { RoomEvent, Track } from 'livekit-client'
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { announce, notify } from '../../app/live'
import type { RunningCall } from '../../app/flow'
import { KINDS } from '../../call/capture'
import { useCaptureModel } from '../capture/context'

/** In a larger meeting, every coming and going would drown what people say. */
const SMALL_MEETING = 12
/** The beginning of a message tells what it is about. */
const READ_OUT = 200 // characters

export function useNews(call: RunningCall): void {
  usePeopleNews()
  useChatNews(call)
  useCaptureNews()
}

function usePeopleNews(): void {
  const { t } = useTranslation('call')
  const room = useRoomContext()
  useEffect(() => {
    const tell = (sentence: 'joined' | 'went') => (person: Participant) => {
      if (room.remoteParticipants.size < SMALL_MEETING) announce(t(sentence, { name: person.name || person.identity }))
    }
    const joined = tell('joined')
    const went = tell('went')
    const published = ({ source }: TrackPublication, person: Participant) => {
      if (source === Track.Source.ScreenShare) announce(t('screen_of', { name: person.name || person.identity }))
    }
    room.on(RoomEvent.ParticipantConnected, joined).on(RoomEvent.ParticipantDisconnected, went).on(RoomEvent.TrackPublished, published)
    return () => {
      room.off(RoomEvent.ParticipantConnected, joined).off(RoomEvent.ParticipantDisconnected, went).off(RoomEvent.TrackPublished, published)
    }
  }, [room, t])
}

function useChatNews({ session }: RunningCall): void {
  const { t } = useTranslation('chat')
  useEffect(
    () =>
      session.chat.store.subscribe(({ messages, open }, before) => {
        const latest = messages.at(-1)
        // An open panel is a live region of its own.
        if (open || latest === undefined || latest.own || latest.id === before.messages.at(-1)?.id) return
        announce(t('message_from', { name: latest.name || latest.identity, text: latest.text.slice(0, READ_OUT) }))
      }),
    [session, t],
  )
}

function useCaptureNews(): void {
  const { t } = useTranslation('capture')
  const model = useCaptureModel()
  useEffect(
    () =>
      model.store.subscribe(({ capture }, before) => {
        for (const kind of KINDS) {
          if (capture[kind] !== null && before.capture[kind] === null) announce(t(`${kind}_running`))
          if (capture[kind] === null && before.capture[kind] !== null) notify(t(`${kind}_stopped`))
        }
      }),
    [model, t],
  )
}
