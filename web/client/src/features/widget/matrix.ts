/** The room as the Matrix client around us shows it to a widget: state, sticky events, messages between devices. */
import type { IWidgetApiRequest, WidgetApi } from 'matrix-widget-api'
import { UnstableApiVersion, WidgetApiToWidgetAction } from 'matrix-widget-api'
import type { OpenId } from '../../app/api'
import type { RoomEvent, ToDeviceMessage } from '../../rtc/events'
import type { DelayedAction, MatrixHost, MatrixListener } from '../../rtc/host'

const UPDATES: Record<DelayedAction, (api: WidgetApi, delayId: string) => Promise<unknown>> = {
  restart: (api, delayId) => api.restartScheduledDelayedEvent(delayId),
  send: (api, delayId) => api.sendScheduledDelayedEvent(delayId),
  cancel: (api, delayId) => api.cancelScheduledDelayedEvent(delayId),
}

/** Clients push the state within a second of allowing it. */
const STATE_PATIENCE = 10_000 // ms

/** Listens from now on, since clients tell the room's state once, right after they allowed it. */
export function matrixHost(api: WidgetApi, roomId: string, openId: () => Promise<OpenId>): MatrixHost {
  const room = follow(api)
  return {
    openId,
    listen: (listener) => room.listen(listener),
    async stateKnown(types) {
      if (await pushesState(api)) return await room.pushed
      for (const type of types) room.take((await api.readStateEvents(type, undefined, undefined, [roomId])) as RoomEvent[])
    },
    async sendState(type, stateKey, content) {
      return { eventId: (await api.sendStateEvent(type, stateKey, content, roomId)).event_id ?? '' }
    },
    async sendStateLater(type, stateKey, content, delay) {
      const { delay_id: delayId } = await api.sendStateEvent(type, stateKey, content, roomId, delay)
      if (delayId === undefined) throw new Error('The client sent at once what it was to send later')
      return { delayId }
    },
    async updateDelayed(delayId, action) {
      await UPDATES[action](api, delayId)
    },
    async sendEvent(type, content) {
      await api.sendRoomEvent(type, content, roomId)
    },
    async sendToDevice(type, messages) {
      await api.sendToDevice(type, true, messages)
    },
  }
}

/** A client that knows `update_state` tells state there; what it sends or reads as events is then history. */
async function pushesState(api: WidgetApi): Promise<boolean> {
  return (await api.getClientVersions()).includes(UnstableApiVersion.MSC2762_UPDATE_STATE)
}

function follow(api: WidgetApi) {
  const known = new Map<string, RoomEvent>()
  const listeners = new Set<MatrixListener>()
  let told: () => void = () => undefined
  const pushed = new Promise<void>((resolve) => {
    told = resolve
  })

  const take = (events: readonly RoomEvent[]) => {
    for (const event of events) known.set(placeOf(event), event)
    for (const listener of listeners) listener.events(events)
  }
  answer(api, WidgetApiToWidgetAction.UpdateState, (data) => {
    take(Array.isArray(data['state']) ? (data['state'] as RoomEvent[]) : [])
    told()
  })
  answer(api, WidgetApiToWidgetAction.SendEvent, (data) => {
    const event = data as unknown as RoomEvent
    if (event.state_key === undefined) take([event])
    else void pushesState(api).then((pushes) => pushes || take([event]))
  })
  answer(api, WidgetApiToWidgetAction.SendToDevice, (data) => {
    const { type, sender, content, encrypted } = data as unknown as ToDeviceMessage
    for (const listener of listeners) listener.toDevice({ type, sender, content: content ?? {}, encrypted: encrypted === true })
  })

  return {
    take,
    get pushed() {
      return Promise.race([pushed, new Promise<void>((resolve) => setTimeout(resolve, STATE_PATIENCE))])
    },
    listen(listener: MatrixListener): () => void {
      listeners.add(listener)
      listener.events([...known.values()])
      return () => listeners.delete(listener)
    },
  }
}

/** Later events take the place of earlier ones: per state key, or per sender and sticky key. */
function placeOf({ type, sender, state_key: stateKey, content, event_id: id }: RoomEvent): string {
  if (stateKey !== undefined) return JSON.stringify([type, stateKey])
  return JSON.stringify([type, sender, content?.['msc4354_sticky_key'] ?? content?.['sticky_key'] ?? id])
}

/** Takes what the client tells, and acknowledges it. */
function answer(api: WidgetApi, action: WidgetApiToWidgetAction, take: (data: Record<string, unknown>) => void): void {
  api.on(`action:${action}`, (event: CustomEvent<IWidgetApiRequest>) => {
    event.preventDefault()
    api.transport.reply(event.detail, {})
    take(event.detail.data as Record<string, unknown>)
  })
}
