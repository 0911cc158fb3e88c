import { expect, test, vi } from 'vitest'
import { DEFAULT_DEVICES } from './devices'
import { preview } from './preview'

const WISHES = { microphone: true, camera: true, devices: DEFAULT_DEVICES }

class FakeTrack extends EventTarget {
  readyState = 'live'
  constructor(readonly kind: 'audio' | 'video') {
    super()
  }
  stop() {
    this.readyState = 'ended'
  }
}

function fakeMedia(refuse: (wish: MediaStreamConstraints) => string | null = () => null) {
  const given: FakeTrack[] = []
  const getUserMedia = vi.fn(async (wish: MediaStreamConstraints) => {
    const error = refuse(wish)
    if (error !== null) throw new DOMException('', error)
    const tracks = [...(wish.audio ? [new FakeTrack('audio')] : []), ...(wish.video ? [new FakeTrack('video')] : [])]
    given.push(...tracks)
    return {
      getAudioTracks: () => tracks.filter(({ kind }) => kind === 'audio'),
      getVideoTracks: () => tracks.filter(({ kind }) => kind === 'video'),
    }
  })
  const enumerateDevices = async () => [
    { kind: 'audioinput', deviceId: 'mic1', label: 'Micro intégré' },
    { kind: 'audiooutput', deviceId: 'out1', label: 'Casque' },
    { kind: 'videoinput', deviceId: '', label: '' },
  ]
  return { media: { getUserMedia, enumerateDevices } as unknown as MediaDevices, getUserMedia, given }
}

test('both devices are asked for at once, so that the browser asks once', async () => {
  const { media, getUserMedia } = fakeMedia()
  const shown = preview(WISHES, media)
  await shown.start()
  expect(getUserMedia).toHaveBeenCalledTimes(1)
  expect(shown.store.getState()).toMatchObject({ microphone: { on: true, pending: false }, camera: { on: true, pending: false } })
  expect(shown.store.getState().available.microphone).toEqual([{ id: 'mic1', name: 'Micro intégré' }])
  expect(shown.store.getState().available.camera).toEqual([]) // no id before permission
})

test('a missing camera does not take the microphone with it', async () => {
  const { media } = fakeMedia((wish) => (wish.video ? 'NotFoundError' : null))
  const shown = preview(WISHES, media)
  await shown.start()
  expect(shown.store.getState().microphone).toMatchObject({ on: true, trouble: null })
  expect(shown.store.getState().camera).toMatchObject({ on: false, trouble: 'missing' })
})

test('refusal is told for both', async () => {
  const { media } = fakeMedia(() => 'NotAllowedError')
  const shown = preview(WISHES, media)
  await shown.start()
  expect(shown.store.getState()).toMatchObject({ microphone: { trouble: 'denied' }, camera: { trouble: 'denied' } })
})

test('a page without a secure connection says so', async () => {
  const shown = preview(WISHES, undefined)
  await shown.start()
  expect(shown.store.getState().microphone.trouble).toBe('insecure')
})

test('switching off stops the device', async () => {
  const { media, given } = fakeMedia()
  const shown = preview(WISHES, media)
  await shown.start()
  await shown.toggle('camera')
  expect(given.find(({ kind }) => kind === 'video')?.readyState).toBe('ended')
  expect(shown.store.getState().camera).toMatchObject({ on: false, track: null })
})

test('a camera that opens after it was switched off again is closed', async () => {
  const { media, given } = fakeMedia()
  const shown = preview({ ...WISHES, microphone: false }, media)
  const started = shown.start()
  await shown.toggle('camera')
  await started
  expect(given[0]?.readyState).toBe('ended')
  expect(shown.store.getState().camera.track).toBeNull()
})

test('the tracks that the call takes keep running when the preview ends', async () => {
  const { media, given } = fakeMedia()
  const shown = preview(WISHES, media)
  await shown.start()
  const tracks = shown.take()
  shown.stop()
  expect(tracks.microphone).toBe(given[0])
  expect(given.map(({ readyState }) => readyState)).toEqual(['live', 'live'])
})

test('an unplugged device is missing', async () => {
  const { media, given } = fakeMedia()
  const shown = preview(WISHES, media)
  await shown.start()
  given[1]?.dispatchEvent(new Event('ended'))
  expect(shown.store.getState().camera).toMatchObject({ on: false, trouble: 'missing' })
})
