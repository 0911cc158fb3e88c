/**
 * Camera and microphone before the call: asks for them, lists them, and hands the running tracks over at the join.
 *
 * Owns its tracks until `take` or `stop`. Answers of the browser that arrive after a newer wish are dropped and
 * their tracks stopped: `generation` counts the wishes per device.
 */
import { createStore } from 'zustand/vanilla'
import type { MediaTrouble } from './media'
import { deviceAllowed, mediaTrouble } from './media'
import type { Devices } from './devices'

export type Input = 'microphone' | 'camera'

export interface InputState {
  on: boolean
  pending: boolean
  track: MediaStreamTrack | null
  trouble: MediaTrouble | null
}

export interface PreviewState {
  microphone: InputState
  camera: InputState
  devices: Devices
  /** What the browser lists; names are empty before it has been allowed once. */
  available: Record<keyof Devices, { id: string; name: string }[]>
}

export interface Wishes {
  microphone: boolean
  camera: boolean
  devices: Devices
}

/** The running tracks at the join; null for what is off. */
export interface Tracks {
  microphone: MediaStreamTrack | null
  camera: MediaStreamTrack | null
}

const LIST: Record<MediaDeviceKind, keyof Devices> = { audioinput: 'microphone', videoinput: 'camera', audiooutput: 'speaker' }
const off = (on: boolean): InputState => ({ on, pending: on, track: null, trouble: null })

export type Preview = ReturnType<typeof preview>

export function preview(wishes: Wishes, media: MediaDevices | undefined = navigator.mediaDevices) {
  const store = createStore<PreviewState>(() => ({
    microphone: off(wishes.microphone),
    camera: off(wishes.camera),
    devices: wishes.devices,
    available: { microphone: [], camera: [], speaker: [] },
  }))
  const generation: Record<Input, number> = { microphone: 0, camera: 0 }
  const set = (input: Input, change: Partial<InputState>) =>
    store.setState((state) => ({ [input]: { ...state[input], ...change } }) as Pick<PreviewState, Input>)

  const constraints = (input: Input): MediaTrackConstraints => {
    const id = store.getState().devices[input]
    const device = id === '' ? {} : { deviceId: { ideal: id } }
    return input === 'camera'
      ? { ...device, width: { ideal: 1280 }, height: { ideal: 720 } }
      : { ...device, echoCancellation: true, noiseSuppression: true, autoGainControl: true }
  }

  const request = async (inputs: Input[]): Promise<MediaStream> => {
    if (media === undefined) throw new DOMException('', 'InsecureError')
    return await media.getUserMedia({
      ...(inputs.includes('microphone') ? { audio: constraints('microphone') } : {}),
      ...(inputs.includes('camera') ? { video: constraints('camera') } : {}),
    })
  }

  const adopt = (input: Input, stream: MediaStream, wish: number) => {
    const track = (input === 'camera' ? stream.getVideoTracks() : stream.getAudioTracks())[0]
    if (track === undefined) return
    if (wish !== generation[input]) return track.stop()
    track.addEventListener('ended', () => set(input, { on: false, track: null, trouble: 'missing' }))
    set(input, { on: true, pending: false, track, trouble: null })
  }

  const open = async (input: Input): Promise<void> => {
    const wish = ++generation[input]
    store.getState()[input].track?.stop()
    set(input, { on: true, pending: true, track: null, trouble: null })
    try {
      adopt(input, await request([input]), wish)
    } catch (error) {
      const trouble = media === undefined ? 'insecure' : mediaTrouble(error, deviceAllowed(input))
      if (wish === generation[input]) set(input, { on: false, pending: false, trouble })
    }
  }

  const close = (input: Input): void => {
    generation[input]++
    store.getState()[input].track?.stop()
    set(input, { on: false, pending: false, track: null, trouble: null })
  }

  const list = async (): Promise<void> => {
    const found = await media?.enumerateDevices().catch(() => [])
    const available: PreviewState['available'] = { microphone: [], camera: [], speaker: [] }
    for (const { kind, deviceId, label } of found ?? []) {
      if (deviceId !== '') available[LIST[kind]].push({ id: deviceId, name: label })
    }
    store.setState({ available })
  }

  return {
    store,
    /** Asks for both at once, so that the browser asks the person once; if that fails, for each by itself. */
    async start(): Promise<void> {
      media?.addEventListener?.('devicechange', list)
      const { microphone, camera } = store.getState()
      if (microphone.on && camera.on) {
        const wish = { microphone: ++generation.microphone, camera: ++generation.camera }
        try {
          const stream = await request(['microphone', 'camera'])
          adopt('microphone', stream, wish.microphone)
          adopt('camera', stream, wish.camera)
        } catch {
          if (wish.microphone === generation.microphone) await open('microphone')
          if (wish.camera === generation.camera) await open('camera')
        }
      } else {
        if (microphone.on) await open('microphone')
        if (camera.on) await open('camera')
      }
      await list()
    },
    async toggle(input: Input): Promise<void> {
      if (store.getState()[input].on) return close(input)
      await open(input)
      await list()
    },
    async choose(device: keyof Devices, id: string): Promise<void> {
      store.setState(({ devices }) => ({ devices: { ...devices, [device]: id } }))
      if (device !== 'speaker') await open(device)
    },
    /** The tracks go to the call; the preview forgets them. */
    take(): Tracks {
      const { microphone, camera } = store.getState()
      generation.microphone++
      generation.camera++
      media?.removeEventListener?.('devicechange', list)
      set('microphone', { track: null })
      set('camera', { track: null })
      return { microphone: microphone.track, camera: camera.track }
    },
    stop(): void {
      media?.removeEventListener?.('devicechange', list)
      close('microphone')
      close('camera')
    },
  }
}
