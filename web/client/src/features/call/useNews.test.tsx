import { act } from '@testing-library/react'
import { RoomEvent } from 'livekit-client'
import { describe, expect, test } from 'vitest'
import { live } from '../../app/live'
import { fakeCall } from '../../test/render'
import { useCall } from './context'
import { useNews } from './useNews'

function News() {
  useNews(useCall())
  return null
}

const last = () => live.getState().notices.at(-1)

describe('what happens to the person themselves', () => {
  test('who was muted is told by whom, aloud and at once', async () => {
    const { show, room } = fakeCall()
    show(<News />)
    act(() => void room.emit(RoomEvent.ParticipantAttributesChanged, { 'palabre.muted_by': 'Chloé' }, room.localParticipant))
    expect(last()?.text).toBe('Chloé a coupé votre micro. Vous pouvez le rouvrir quand vous voulez.')
    await expect.poll(() => live.getState().urgent).toContain('Chloé a coupé votre micro.')
  })

  test('nothing is said when they unmute, or when somebody else is muted', () => {
    const { show, room } = fakeCall()
    show(<News />)
    const before = last()
    act(() => {
      room.emit(RoomEvent.ParticipantAttributesChanged, { 'palabre.muted_by': '' }, room.localParticipant)
      room.emit(RoomEvent.ParticipantAttributesChanged, { 'palabre.muted_by': 'Chloé' }, {} as never)
    })
    expect(last()).toBe(before)
  })

  test('what the room allows no longer, or allows again, is told', () => {
    const { show, allow, room } = fakeCall()
    show(<News />)
    const change = (rights: Parameters<typeof allow>[0]) =>
      act(() => {
        allow(rights)
        room.emit(RoomEvent.ParticipantPermissionsChanged, undefined, room.localParticipant)
      })
    change({ share: false })
    expect(last()?.text).toMatch(/^Partager votre écran\s: ce salon ne vous y autorise pas/)
    change({ publish: false })
    expect(last()?.text).toContain('Vous pouvez écouter et écrire')
    change({ publish: true, share: true })
    expect(last()?.text).toBe('Vous pouvez maintenant activer votre micro et votre caméra.')
  })
})
