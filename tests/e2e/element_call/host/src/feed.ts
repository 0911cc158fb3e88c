// What the Matrix client hands on to the call's widget as it comes in, and what it refuses to.
import {
  ClientEvent,
  MatrixEventEvent,
  RoomStateEvent,
  type MatrixClient,
  type MatrixEvent,
  type ReceivedToDeviceMessage,
} from 'matrix-js-sdk'
import type { ClientWidgetApi } from 'matrix-widget-api'

import { plain } from './driver'

/** A to-device message of the call: from which device it came by Olm, or that it came in clear and was refused. */
export interface Delivery {
  type: string
  sender: string
  device: string | null
  claimed: string | null
  refused: boolean
  key: string | null // in base64: what must be found nowhere but where it belongs
}

export function feed(client: MatrixClient, api: ClientWidgetApi, deliveries: Delivery[]): () => void {
  const fed = new WeakSet<MatrixEvent>()

  const event = async (one: MatrixEvent): Promise<void> => {
    await client.decryptEventIfNeeded(one)
    if (fed.has(one) || one.getType() === 'm.room.encrypted' || one.isDecryptionFailure()) return
    fed.add(one)
    await api.feedEvent(plain(one) as never)
  }

  const state = (one: MatrixEvent): void => void api.feedStateUpdate(plain(one) as never)

  const toDevice = ({ message, encryptionInfo }: ReceivedToDeviceMessage): void => {
    if (!api.canReceiveToDeviceEvent(message.type)) return
    const refused = encryptionInfo === null || encryptionInfo.sender !== message.sender
    deliveries.push({
      type: message.type,
      sender: message.sender,
      device: encryptionInfo?.senderDevice ?? null,
      claimed: message.content.member?.claimed_device_id ?? null,
      refused,
      key: message.content.keys?.key ?? null,
    })
    if (!refused) void api.feedToDevice(message as never, true)
  }

  client.on(ClientEvent.Event, event)
  client.on(MatrixEventEvent.Decrypted, event)
  client.on(RoomStateEvent.Events, state)
  client.on(ClientEvent.ReceivedToDeviceMessage, toDevice)
  return () => {
    client.off(ClientEvent.Event, event)
    client.off(MatrixEventEvent.Decrypted, event)
    client.off(RoomStateEvent.Events, state)
    client.off(ClientEvent.ReceivedToDeviceMessage, toDevice)
  }
}
