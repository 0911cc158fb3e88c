/**
 * End-to-end encryption of one LiveKit connection: worker, keys, and the rule that nothing goes or comes in clear.
 *
 * One per connection: each has a worker of its own, which dies with it.
 */
import type { BaseE2EEManager, Room, RoomOptions } from 'livekit-client'
import { isE2EESupported } from 'livekit-client'
import EncryptionWorker from 'livekit-client/e2ee-worker?worker'
import { MediaKeys } from './mediaKeys'

export interface Encryption {
  keys: MediaKeys
  /** For `new Room`. */
  options: Pick<RoomOptions, 'encryption'>
  /** Before the room connects. */
  enforce(room: Room): Promise<void>
  stop(): void
}

/** Old browsers can't transform encoded media. */
export function canEncrypt(): boolean {
  return isE2EESupported()
}

export function makeEncryption(ownIdentity: string, makeWorker: () => Worker = () => new EncryptionWorker()): Encryption {
  const keys = new MediaKeys(ownIdentity)
  const worker = makeWorker()
  return {
    keys,
    options: { encryption: { keyProvider: keys, worker } },
    async enforce(room) {
      neverInClear(room)
      await room.setE2EEEnabled(true)
    },
    stop: () => worker.terminate(),
  }
}

/** What livekit-client has no public way to; mediaKeys.test.ts notices if a new version names it otherwise. */
interface Inside {
  e2eeManager: Pick<BaseE2EEManager, 'setParticipantCryptorEnabled' | 'handleEncryptedData'>
  engine: { emit(event: string, ...rest: unknown[]): boolean }
}

/**
 * The relay says of each track whether it is encrypted, and livekit-client believes it: a relay that lies could have
 * a voice of its own played as somebody's. So every frame must decrypt. Likewise it takes messages in clear beside
 * encrypted ones; here only what has just been decrypted passes (it handles one message at a time).
 */
export function neverInClear(room: Room): void {
  const { e2eeManager: manager, engine } = room as unknown as Inside
  const setEnabled = manager.setParticipantCryptorEnabled.bind(manager)
  manager.setParticipantCryptorEnabled = (_enabled, identity) => setEnabled(true, identity)

  let decrypted = false
  const decrypt = manager.handleEncryptedData.bind(manager)
  manager.handleEncryptedData = async (...message) => {
    const content = await decrypt(...message)
    decrypted = true
    return content
  }
  const emit = engine.emit.bind(engine)
  engine.emit = (event, ...rest) => {
    if (event !== 'dataPacketReceived') return emit(event, ...rest)
    const genuine = decrypted
    decrypted = false
    return genuine && emit(event, ...rest)
  }
}
