/** Says aloud what happens around the person: who comes and goes, shares a screen, writes, records. */
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { announce, notify } from '../../app/live'
import type { RunningCall } from '../../app/flow'
import { KINDS } from '../../call/capture'
import type { Person } from '../../call/roster'
import { useCaptureModel } from '../capture/context'
import { useRosterStore } from './context'

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
