/** What a MatrixRTC call needs of the Matrix client around the widget. Implemented by features/widget/matrix.ts. */
import type { OpenId } from '../app/api'
import type { RoomEvent, ToDeviceMessage } from './events'

export interface MatrixListener {
  /** State as the room has it now, or sticky events; several at once, in order. */
  events(events: readonly RoomEvent[]): void
  toDevice(message: ToDeviceMessage): void
}

export type DelayedAction = 'restart' | 'send' | 'cancel'

export interface MatrixHost {
  openId(): Promise<OpenId>
  /** Tells what is known already at once, then what comes; returns how to stop. */
  listen(listener: MatrixListener): () => void
  /** Over when the client has told the room's state of these types. */
  stateKnown(types: readonly string[]): Promise<void>
  sendState(type: string, stateKey: string, content: object): Promise<{ eventId: string }>
  /** The homeserver sends it after `delay` ms unless it is restarted meanwhile (MSC4140). */
  sendStateLater(type: string, stateKey: string, content: object, delay: number): Promise<{ delayId: string }>
  updateDelayed(delayId: string, action: DelayedAction): Promise<void>
  /** Encrypted by the client where the room is. */
  sendEvent(type: string, content: object): Promise<void>
  /** Encrypted for each device. `messages`: user → device → content. */
  sendToDevice(type: string, messages: Record<string, Record<string, object>>): Promise<void>
}
