import type { BaseE2EEManager } from 'livekit-client'
import { KeyProviderEvent, Room, RoomEvent } from 'livekit-client'
import { afterEach, expect, test, vi } from 'vitest'
import { makeEncryption } from './encryption'
import { MediaKeys } from './mediaKeys'

/** Of the realm that WebCrypto is from: jsdom's arrays are none to it. */
const KEY = structuredClone(new Uint8Array(16).fill(3))

afterEach(() => vi.unstubAllGlobals())

test('the ring and the derivation are Element Call’s', async () => {
  const keys = new MediaKeys('me')
  expect(keys.getOptions()).toMatchObject({ sharedKey: false, ratchetWindowSize: 10, keyringSize: 256, keySize: 128, ratchetSalt: 'LKFrameEncryptionKey' })
  await keys.add('ana', 255, KEY)
  expect(keys.getKeys()).toMatchObject([{ participantIdentity: 'ana', keyIndex: 255, key: { algorithm: { name: 'HKDF' }, extractable: false } }])
})

test('keys are handed on in the order in which they came', async () => {
  const keys = new MediaKeys('me')
  const order: unknown[] = []
  keys.on(KeyProviderEvent.SetKey, ({ participantIdentity, keyIndex }) => order.push(`${participantIdentity} ${keyIndex}`))
  await Promise.all([keys.add('ana', 0, KEY), keys.add('me', 0, KEY), keys.add('ana', 1, KEY)])
  expect(order).toEqual(['ana 0', 'me 0', 'ana 1'])
})

test('after a lost connection we go on with our latest key, whoever’s key came last', async () => {
  const keys = new MediaKeys('me')
  await keys.add('me', 0, KEY)
  await keys.add('me', 1, KEY)
  await keys.add('ana', 0, KEY)
  expect(keys.getLatestManuallySetKeyIndex()).toBe(1)
})

/** A worker that remembers what it is told. */
function fakeWorker() {
  const told: { kind: string; data: Record<string, unknown> }[] = []
  return { told, worker: { postMessage: (message: (typeof told)[number]) => told.push(message), terminate: vi.fn() } as unknown as Worker }
}

async function encryptedRoom() {
  vi.stubGlobal('RTCRtpSender', class { createEncodedStreams() {} })
  const { told, worker } = fakeWorker()
  const encryption = makeEncryption('me', () => worker)
  const room = new Room(encryption.options)
  const inside = room as unknown as {
    e2eeManager: BaseE2EEManager
    engine: { emit(event: string, ...rest: unknown[]): boolean }
  }
  const decrypt = vi.spyOn(inside.e2eeManager, 'handleEncryptedData').mockResolvedValue({ uuid: '', payload: KEY })
  await encryption.enforce(room)
  return { told, worker, encryption, room, decrypt, manager: inside.e2eeManager, engine: inside.engine }
}

test('a relay that calls somebody’s track unencrypted is not believed', async () => {
  const { told, worker, encryption, room, manager } = await encryptedRoom()
  manager.setParticipantCryptorEnabled(false, 'ana')
  expect(told.filter(({ kind }) => kind === 'enable').map(({ data }) => data)).toEqual([{ enabled: true, participantIdentity: 'ana' }])
  expect(room.localParticipant.isE2EEEnabled).toBe(true)
  encryption.stop()
  expect(worker.terminate).toHaveBeenCalled()
})

test('a message in clear is not heard, also right beside an encrypted one', async () => {
  const { room, manager, engine, decrypt } = await encryptedRoom()
  const heard: string[] = []
  room.on(RoomEvent.DataReceived, (payload) => heard.push(new TextDecoder().decode(payload)))
  const arrive = (text: string) => {
    const user = { payload: new TextEncoder().encode(text), destinationIdentities: [] }
    engine.emit('dataPacketReceived', { value: { case: 'user', value: user }, participantIdentity: 'ana' }, 0)
  }
  arrive('forged')
  await manager.handleEncryptedData(KEY, KEY, 'ana', 0)
  arrive('genuine')
  arrive('forged')
  decrypt.mockRejectedValue(new Error('wrong key'))
  await manager.handleEncryptedData(KEY, KEY, 'ana', 0).catch(() => undefined)
  arrive('forged')
  expect(heard).toEqual(['genuine'])
})
