// What a call's widget may ask of the Matrix client around it, answered with matrix-js-sdk.
import { MatrixError, type MatrixClient, type MatrixEvent, type Room } from 'matrix-js-sdk'
import {
  OpenIDRequestState,
  WidgetDriver,
  type Capability,
  type IOpenIDUpdate,
  type IRoomEvent,
  type IRtcTransport,
  type ISendDelayedEventDetails,
  type ISendEventDetails,
  type IWidgetApiErrorResponseDataDetails,
  type SimpleObservable,
} from 'matrix-widget-api'

type Messages = Record<string, Record<string, object>>

/** Events as the widget API has them, those of encrypted rooms in the clear. */
export const plain = (event: MatrixEvent): IRoomEvent => event.getEffectiveEvent() as unknown as IRoomEvent

export class CallDriver extends WidgetDriver {
  constructor(
    private readonly client: MatrixClient,
    private readonly room: Room,
  ) {
    super()
  }

  /** Element grants its own call widget everything that it asks for. */
  override async validateCapabilities(requested: Set<Capability>): Promise<Set<Capability>> {
    return requested
  }

  override getKnownRooms(): string[] {
    return [this.room.roomId]
  }

  override async sendEvent(type: string, content: any, stateKey: string | null = null): Promise<ISendEventDetails> {
    const { roomId } = this.room
    const sent =
      stateKey !== null
        ? await this.client.sendStateEvent(roomId, type as never, content as never, stateKey)
        : type === 'm.room.redaction'
          ? await this.client.redactEvent(roomId, content.redacts)
          : await this.client.sendEvent(roomId, type as never, content as never)
    return { roomId, eventId: sent.event_id }
  }

  override async sendStickyEvent(duration: number, type: string, content: any): Promise<ISendEventDetails> {
    const { roomId } = this.room
    const sent = await this.client._unstable_sendStickyEvent(roomId, duration, null, type as never, content as never)
    return { roomId, eventId: sent.event_id }
  }

  override async sendDelayedEvent(
    delay: number,
    type: string,
    content: any,
    stateKey: string | null = null,
  ): Promise<ISendDelayedEventDetails> {
    const { roomId } = this.room
    const { delay_id: delayId } =
      stateKey !== null
        ? await this.client._unstable_sendDelayedStateEvent(roomId, { delay }, type as never, content as never, stateKey)
        : await this.client._unstable_sendDelayedEvent(roomId, { delay }, null, type as never, content as never)
    return { roomId, delayId }
  }

  override async sendDelayedStickyEvent(
    delay: number,
    duration: number,
    type: string,
    content: any,
  ): Promise<ISendDelayedEventDetails> {
    const { roomId } = this.room
    const when = { delay }
    const kind = type as never
    const sent = await this.client._unstable_sendStickyDelayedEvent(roomId, duration, when, null, kind, content as never)
    return { roomId, delayId: sent.delay_id }
  }

  override async cancelScheduledDelayedEvent(delayId: string): Promise<void> {
    await this.client._unstable_cancelScheduledDelayedEvent(delayId)
  }

  override async restartScheduledDelayedEvent(delayId: string): Promise<void> {
    await this.client._unstable_restartScheduledDelayedEvent(delayId)
  }

  override async sendScheduledDelayedEvent(delayId: string): Promise<void> {
    await this.client._unstable_sendScheduledDelayedEvent(delayId)
  }

  /** By Olm only, each message to the very device that it is for. */
  override async sendToDevice(type: string, encrypted: boolean, messages: Messages): Promise<void> {
    if (!encrypted) throw new Error('This client sends to-device messages encrypted or not at all')
    await this.client.getCrypto()!.getUserDeviceInfo(Object.keys(messages), true)
    for (const [userId, devices] of Object.entries(messages))
      for (const [deviceId, payload] of Object.entries(devices))
        await this.client.encryptAndSendToDevice(type, [{ userId, deviceId }], payload as Record<string, unknown>)
  }

  override async readRoomState(_roomId: string, type: string, stateKey: string | undefined): Promise<IRoomEvent[]> {
    const state = this.room.getLiveTimeline().getState('f' as never)!
    if (stateKey !== undefined) {
      const event = state.getStateEvents(type, stateKey)
      return event ? [plain(event)] : []
    }
    const events = state.getStateEvents(type).map(plain)
    // Element Call looks for its user while state arrives, and gives up when they come last.
    const mine = (event: IRoomEvent): number => Number(event.state_key === this.client.getUserId())
    if (type !== 'm.room.member') await new Promise((resolve) => setTimeout(resolve))
    return events.sort((a, b) => mine(b) - mine(a))
  }

  override async readRoomTimeline(
    _roomId: string,
    type: string,
    msgtype: string | undefined,
    stateKey: string | undefined,
    limit: number,
    since: string | undefined,
  ): Promise<IRoomEvent[]> {
    const found: IRoomEvent[] = []
    for (const event of this.room.getLiveTimeline().getEvents().toReversed()) {
      if (found.length >= limit || event.getId() === since) break
      await this.client.decryptEventIfNeeded(event)
      const kind = event.getType() === type && event.getStateKey() === stateKey
      if (kind && (msgtype === undefined || event.getContent().msgtype === msgtype)) found.push(plain(event))
    }
    return found
  }

  override async readStickyEvents(): Promise<IRoomEvent[]> {
    const events = [...this.room._unstable_getStickyEvents()]
    await Promise.all(events.map((event) => this.client.decryptEventIfNeeded(event)))
    return events.map(plain)
  }

  override askOpenID(observer: SimpleObservable<IOpenIDUpdate>): void {
    void this.client
      .getOpenIdToken()
      .then((token) => observer.update({ state: OpenIDRequestState.Allowed, token: token as never }))
  }

  override async getRtcTransports(): Promise<{ rtc_transports: IRtcTransport[] }> {
    return { rtc_transports: (await this.client._unstable_getRTCTransports()) as IRtcTransport[] }
  }

  override processError(error: unknown): IWidgetApiErrorResponseDataDetails | undefined {
    return error instanceof MatrixError ? { matrix_api_error: error.asWidgetApiErrorData() } : undefined
  }
}
