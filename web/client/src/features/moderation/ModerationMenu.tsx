/** Mutes somebody, or removes them from the call once the moderator has said so twice. */
import type { Participant } from 'livekit-client'
import { EllipsisVertical, MicOff, UserRoundX } from 'lucide-react'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useFlow } from '../../app/context'
import { problemOf } from '../../app/flow'
import { notify } from '../../app/live'
import { useMicrophoneOn } from '../../hooks/participants'
import { IconButton } from '../../ui/Button'
import type { MenuEntry } from '../../ui/Overlay'
import { Menu } from '../../ui/Overlay'
import { useSentence } from '../problem/sentence'
import { RemoveDialog } from './RemoveDialog'

export default function ModerationMenu({ name, participant }: { name: string; participant: Participant }) {
  const { t } = useTranslation('moderation')
  const { mute, remove } = useModeration(name, participant.identity)
  const heard = useMicrophoneOn(participant)
  const [asking, setAsking] = useState(false)
  const entries: MenuEntry[] = [
    ...(heard ? [{ id: 'mute', icon: <MicOff size={20} aria-hidden />, text: t('mute_person'), onAction: mute }] : []),
    { id: 'remove', icon: <UserRoundX size={20} aria-hidden />, text: t('remove_person'), onAction: () => setAsking(true) },
  ]
  const label = t('actions', { name })
  return (
    <>
      <Menu label={label} trigger={<IconButton label={label} icon={<EllipsisVertical size={20} aria-hidden />} />} entries={entries} />
      {asking && <RemoveDialog name={name} onClose={() => setAsking(false)} onRemove={remove} />}
    </>
  )
}

/** Outlives the menu: whoever is removed is gone from the page before the server has answered. */
function useModeration(name: string, identity: string): { mute: () => void; remove: () => void } {
  const { t } = useTranslation('moderation')
  const flow = useFlow()
  const sentence = useSentence()
  const told = (work: () => Promise<string>) => () =>
    void work().then(
      (done) => notify(done),
      (error: unknown) => notify(sentence(problemOf(error)).text, 'trouble'),
    )
  return {
    mute: told(async () => ((await flow.mute(identity)) > 0 ? t('person_muted', { name }) : t('nothing_muted', { name }))),
    remove: told(async () => {
      await flow.remove(identity)
      return t('person_removed', { name })
    }),
  }
}
