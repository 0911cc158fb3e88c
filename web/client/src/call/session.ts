/**
 * One stay in a call: the LiveKit room from connecting to leaving, and the chat that goes with it.
 *
 * `onEnd` is called once, when a connected call is over for good; livekit-client reconnects and renews its token by
 * itself until then. Microphone and camera are published after connecting; one that fails doesn't stop the other.
 */
import { LocalAudioTrack, LocalVideoTrack, LogLevel, Room, RoomEvent, setLogLevel, Track } from 'livekit-client'
import type { ChatLog } from './chat'
import { chatLog } from './chat'
import type { Encryption } from './encryption'
import { connectOptions, roomOptions } from './options'
import type { Devices } from './devices'
import type { Tracks } from './preview'
import { endingOf, refusalOf } from './reasons'

setLogLevel(LogLevel.silent) // What went wrong is shown to the person, not to the console.

/** The call could not be joined; `code` is a problem code. */
export class JoinError extends Error {
  constructor(readonly code: string) {
    super(code)
    this.name = 'JoinError'
  }
}

export class CallSession {
  readonly room: Room
  readonly chat: ChatLog
  private connected = false

  constructor(
    devices: Devices,
    private readonly onEnd: (ending: string | null) => void,
    private readonly encryption: Encryption | null = null,
  ) {
    this.room = new Room({ ...roomOptions(devices), ...encryption?.options })
    this.chat = chatLog(this.room)
    this.room.on(RoomEvent.Disconnected, (reason) => {
      encryption?.stop()
      if (!this.connected) return
      this.connected = false
      this.onEnd(endingOf(reason))
    })
  }

  /** Raises `JoinError`, with the tracks stopped. */
  async connect(url: string, token: string, tracks: Tracks, publish: boolean): Promise<void> {
    try {
      await this.encryption?.enforce(this.room)
      await this.room.connect(url, token, connectOptions)
    } catch (error) {
      stop(tracks)
      throw new JoinError(refusalOf(error))
    }
    this.connected = true
    if (publish) await this.publish(tracks)
    else stop(tracks)
  }

  private async publish({ microphone, camera }: Tracks): Promise<void> {
    const { localParticipant: me, options } = this.room
    const work: Promise<unknown>[] = []
    // `false`: not ours to keep alive. livekit-client may stop and reopen them when somebody mutes.
    if (microphone?.readyState === 'live') {
      const track = new LocalAudioTrack(microphone, { ...options.audioCaptureDefaults } as MediaTrackConstraints, false)
      work.push(me.publishTrack(track, { source: Track.Source.Microphone }))
    }
    if (camera?.readyState === 'live') {
      const track = new LocalVideoTrack(camera, cameraConstraints(options.videoCaptureDefaults?.deviceId), false)
      work.push(me.publishTrack(track, { source: Track.Source.Camera }))
    }
    await Promise.allSettled(work)
  }

  async leave(): Promise<void> {
    await this.room.disconnect()
  }
}

function cameraConstraints(deviceId: ConstrainDOMString | undefined): MediaTrackConstraints {
  return { width: { ideal: 1280 }, height: { ideal: 720 }, ...(deviceId === undefined ? {} : { deviceId }) }
}

function stop({ microphone, camera }: Tracks): void {
  microphone?.stop()
  camera?.stop()
}
