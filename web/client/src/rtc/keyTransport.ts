/** Media keys to and from other devices, encrypted by the Matrix client around us. What is believed: keyInbox.ts. */
import { KeyTransportEvents } from 'matrix-js-sdk/lib/matrixrtc/IKeyTransport.js'
import type { IKeyTransport, KeyTransportEventsHandlerMap } from 'matrix-js-sdk/lib/matrixrtc/IKeyTransport.js'
import type { ParticipantDeviceInfo } from 'matrix-js-sdk/lib/matrixrtc/types.js'
import { TypedEventEmitter } from 'matrix-js-sdk/lib/models/typed-event-emitter.js'
import type { OwnDevice, ToDeviceMessage } from './events'
import { MEDIA_KEYS, stateIdentity } from './events'
import type { MatrixHost } from './host'
import { KeyInbox } from './keyInbox'
import type { ReceivedKey } from './keyInbox'

/** Whoever misses a key sees and hears nothing of us until the next one, so it is worth trying again. */
const RETRIES = [1_000, 3_000, 9_000] // ms

export class KeyTransport
  extends TypedEventEmitter<KeyTransportEvents, KeyTransportEventsHandlerMap>
  implements IKeyTransport
{
  private started = false

  constructor(
    private readonly host: Pick<MatrixHost, 'sendToDevice'>,
    private readonly own: OwnDevice,
    private readonly inbox: KeyInbox,
    private readonly now: () => number,
  ) {
    super()
  }

  start(): void {
    this.started = true
  }

  stop(): void {
    this.started = false
  }

  async sendKey(key: string, index: number, members: ParticipantDeviceInfo[]): Promise<void> {
    const others = members.filter(({ userId, deviceId }) => userId !== this.own.userId || deviceId !== this.own.deviceId)
    if (others.length === 0) return
    const content = {
      keys: { index, key },
      room_id: this.own.roomId,
      member: { claimed_device_id: this.own.deviceId, id: stateIdentity(this.own) },
      session: { application: 'm.call', call_id: '', scope: 'm.room' },
      sent_ts: this.now(),
    }
    const messages: Record<string, Record<string, object>> = {}
    for (const { userId, deviceId } of others) (messages[userId] ??= {})[deviceId] = content
    await this.deliver(messages)
  }

  private async deliver(messages: Record<string, Record<string, object>>): Promise<void> {
    for (const pause of [...RETRIES, null]) {
      try {
        return await this.host.sendToDevice(MEDIA_KEYS, messages)
      } catch (error) {
        if (pause === null || !this.started) throw error
        await new Promise((resolve) => setTimeout(resolve, pause))
      }
    }
  }

  /** A message of the Matrix client; whether a key of it counts or waits. */
  receive(message: ToDeviceMessage): void {
    const key = this.inbox.take(message, this.now())
    if (key !== null && typeof key === 'object') this.tell(key)
  }

  /** Member events have changed: some keys may count now. */
  membersChanged(): void {
    for (const key of this.inbox.release(this.now())) this.tell(key)
  }

  private tell({ userId, deviceId, memberId, key, index, at }: ReceivedKey): void {
    if (this.started) this.emit(KeyTransportEvents.ReceivedKeys, { userId, deviceId, memberId }, key, index, at)
  }
}
