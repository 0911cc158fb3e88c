/** How we send and receive: the options given to livekit-client, each with its reason. */
import type { RoomConnectOptions, RoomOptions, ScreenShareCaptureOptions } from 'livekit-client'
import { AudioPresets, DefaultReconnectPolicy, ScreenSharePresets, VideoPresets } from 'livekit-client'
import type { Devices } from './devices'

/**
 * Pauses between tries to come back, in ms. livekit-client's grow to 7 s, half again with its jitter, so that people may be
 * alone for ten seconds after the service is back; these stay short for as long as the service waits for them (a minute).
 */
const retryDelays = [0, 300, 700, 1500, ...Array<number>(28).fill(2500)]

const device = (id: string) => (id === '' ? {} : { deviceId: id })

export function roomOptions(devices: Devices): RoomOptions {
  return {
    adaptiveStream: true, // receive no more pixels than the tile shows
    reconnectPolicy: new DefaultReconnectPolicy(retryDelays),
    dynacast: true, // send no layer that nobody looks at
    audioCaptureDefaults: { autoGainControl: true, echoCancellation: true, noiseSuppression: true, ...device(devices.microphone) },
    videoCaptureDefaults: { resolution: VideoPresets.h720.resolution, ...device(devices.camera) },
    ...(devices.speaker === '' ? {} : { audioOutput: { deviceId: devices.speaker } }),
    publishDefaults: {
      videoCodec: 'vp8', // every browser and Element Call decode it
      simulcast: true,
      videoSimulcastLayers: [VideoPresets.h180, VideoPresets.h360], // 720 is the original
      videoEncoding: VideoPresets.h720.encoding,
      backupCodec: false,
      audioPreset: AudioPresets.speech,
      dtx: true, // silence costs nothing
      red: false, // the recorder and other clients want plain Opus
      screenShareEncoding: ScreenSharePresets.h1080fps15.encoding,
      screenShareSimulcastLayers: [ScreenSharePresets.h360fps3],
      degradationPreference: 'balanced',
    },
  }
}

export const connectOptions: RoomConnectOptions = {
  maxRetries: 3,
  peerConnectionTimeout: 30_000, // ms; TURN over TLS behind an administration's proxy is slow to set up
}

/** Text must stay sharp, and a shared film may bring its sound. */
export const screenOptions: ScreenShareCaptureOptions = {
  audio: true,
  contentHint: 'detail',
  resolution: ScreenSharePresets.h1080fps15.resolution,
  selfBrowserSurface: 'exclude', // sharing this very tab is a hall of mirrors
  surfaceSwitching: 'include',
  systemAudio: 'exclude', // it would send everybody's voice back
  suppressLocalAudioPlayback: false,
}
