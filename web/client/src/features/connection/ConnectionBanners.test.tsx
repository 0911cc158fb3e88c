import { act, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { ConnectionState, ParticipantEvent, RoomEvent } from 'livekit-client'
import { expect, test, vi } from 'vitest'
import { live } from '../../app/live'
import { fakeCall, faults } from '../../test/render'
import { ConnectionBanners } from './ConnectionBanners'

test('a lost connection is told while it lasts, and that it is back', async () => {
  const { show, room } = fakeCall()
  const { container } = show(<ConnectionBanners />)
  expect(container.textContent).toBe('')
  act(() => void room.emit(RoomEvent.ConnectionStateChanged, ConnectionState.Reconnecting))
  expect(screen.getByRole('region', { name: 'La connexion est interrompue.' })).toBeTruthy()
  expect(await faults(container)).toEqual([])
  await expect.poll(() => live.getState().urgent).toBe('La connexion est interrompue.')
  act(() => void room.emit(RoomEvent.ConnectionStateChanged, ConnectionState.Connected))
  expect(container.textContent).toBe('')
  await expect.poll(() => live.getState().polite).toBe('Connexion rétablie')
})

test('sound that the browser holds back is started by a button', async () => {
  const { show, room } = fakeCall()
  const start = vi.spyOn(room, 'startAudio').mockResolvedValue(undefined)
  vi.spyOn(room, 'canPlaybackAudio', 'get').mockReturnValue(false)
  show(<ConnectionBanners />)
  await userEvent.click(screen.getByRole('button', { name: 'Activer le son' }))
  expect(start).toHaveBeenCalledOnce()
})

test('one’s own shared screen can be stopped from its banner', async () => {
  const { show, room } = fakeCall()
  const stop = vi.spyOn(room.localParticipant, 'setScreenShareEnabled').mockResolvedValue(undefined)
  vi.spyOn(room.localParticipant, 'isScreenShareEnabled', 'get').mockReturnValue(true)
  show(<ConnectionBanners />)
  act(() => void room.localParticipant.emit(ParticipantEvent.TrackUnmuted, {} as never))
  await userEvent.click(screen.getByRole('button', { name: 'Arrêter le partage' }))
  expect(stop).toHaveBeenCalledWith(false)
})

test('whoever may only listen reads so', () => {
  const { show } = fakeCall({ publish: false, share: false })
  show(<ConnectionBanners />)
  expect(screen.getByRole('region', { name: /Vous pouvez écouter et écrire/ })).toBeTruthy()
})
