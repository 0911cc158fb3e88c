/** Says aloud what happens around the person and to them: who comes and goes, shares, writes, records, mutes. */
import type { LocalParticipant, Participant } from 'livekit-client'
import { RoomEvent } from 'livekit-client'
import { useEffect, useRef } from 'react'
import { useTranslation } from 'react-i18next'
import { announce, notify } from '../../app/live'
import type { RunningCall } from '../../app/flow'
import { KINDS } from '../../call/capture'
import { question } from '../../call/consent'
import { holds } from '../../call/rights'
import type { Person } from '../../call/roster'
import { useCaptureModel } from '../capture/context'
import { useSentence } from '../problem/sentence'
import { useRosterStore } from './context'

/** In a larger meeting, every coming and going would drown what people say. */
const SMALL_MEETING = 12
/** The beginning of a message tells what it is about. */
const READ_OUT = 200 // characters

export function useNews(call: RunningCall): void {
  usePeopleNews()
  useChatNews(call)
  useCaptureNews()
  useOwnNews(call)
}

function usePeopleNews(): void {
  const { t } = useTranslation('call')
  const store = useRosterStore()
  useEffect(
    () =>
      store.subscribe(({ people, screens }, before) => {
        if (people.length <= SMALL_MEETING) {
          for (const { name, recorder } of newcomers(people, before.people)) if (!recorder) announce(t('joined', { name }))
          for (const { name, recorder } of newcomers(before.people, people)) if (!recorder) announce(t('went', { name }))
        }
        for (const { person } of screens) {
          if (!before.screens.some((screen) => screen.person.identity === person.identity)) announce(t('screen_of', { name: person.name }))
        }
      }),
    [store, t],
  )
}

/** Those of `now` who weren't there before. */
function newcomers(now: readonly Person[], before: readonly Person[]): Person[] {
  return now.filter(({ identity, isLocal }) => !isLocal && !before.some((other) => other.identity === identity))
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
  const sentence = useRef(useSentence())
  useEffect(
    () =>
      model.store.subscribe(({ capture, standings, consent }, before) => {
        // What is asked again says in its banner why.
        const { failed } = consent
        if (failed !== null && failed !== before.consent.failed && question(consent, capture, standings).length === 0) {
          notify(sentence.current({ code: failed }).text, 'trouble')
        }
        for (const kind of KINDS) {
          if (capture[kind] !== null && before.capture[kind] === null) announce(t(`${kind}_running`))
          if (capture[kind] === null && before.capture[kind] !== null) notify(t(`${kind}_stopped`))
        }
      }),
    [model, t],
  )
}

/** By whom one was muted, and what one may do from now on or no longer. */
function useOwnNews({ session }: RunningCall): void {
  const { t } = useTranslation('call')
  useEffect(() => {
    const { room } = session
    const me = room.localParticipant
    let before = mayOf(me)
    const attributes = (changed: Record<string, string>, participant: Participant) => {
      const by = changed['palabre.muted_by']
      if (participant === me && by) notify(t('muted_by', { name: by }), 'trouble')
    }
    const permissions = (_: unknown, participant: Participant) => {
      if (participant !== me) return
      const now = mayOf(me)
      if (before.speak && !now.speak) notify(t('listen_only'), 'trouble')
      else if (before.share && !now.share) notify(t('locked', { what: t('screen_label') }), 'trouble')
      if (!before.speak && now.speak) notify(t('speak_gained'))
      else if (!before.share && now.share) notify(t('share_gained'))
      before = now
    }
    room.on(RoomEvent.ParticipantAttributesChanged, attributes).on(RoomEvent.ParticipantPermissionsChanged, permissions)
    return () => {
      room.off(RoomEvent.ParticipantAttributesChanged, attributes).off(RoomEvent.ParticipantPermissionsChanged, permissions)
    }
  }, [session, t])
}

function mayOf(me: LocalParticipant): { speak: boolean; share: boolean } {
  return { speak: holds(me, 'microphone') || holds(me, 'camera'), share: holds(me, 'screen') }
}
