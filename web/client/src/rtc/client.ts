/**
 * The Matrix client as matrix-js-sdk's membership manager wants it, over the widget's client.
 *
 * The library brings such a client itself (RoomWidgetClient), but that one asks the homeserver by HTTP what it
 * supports, which the page's Content-Security-Policy rightly forbids, and is ten times the size of all the rest.
 */
import { UnsupportedDelayedEventsEndpointError } from 'matrix-js-sdk/lib/errors.js'
import { ConnectionError, MatrixError } from 'matrix-js-sdk/lib/http-api/errors.js'
import type { MembershipManager } from 'matrix-js-sdk/lib/matrixrtc/MembershipManager.js'
import { WidgetApiResponseError } from 'matrix-widget-api'
import type { OwnDevice, RoomEvent } from './events'
import type { DelayedAction, MatrixHost } from './host'

export type MembershipClient = ConstructorParameters<typeof MembershipManager>[2]

/** `sent` hears of our own state at once: the room's word of it may take a second to come back. */
export function membershipClient(
  host: MatrixHost,
  own: OwnDevice,
  mayDelay: boolean,
  sent: (event: RoomEvent) => void,
): MembershipClient {
  const requireDelay = (name: string) => {
    if (!mayDelay) throw new UnsupportedDelayedEventsEndpointError('The client allows no delayed events', name as 'sendDelayedStateEvent')
  }
  const update = async (delayId: string, action: DelayedAction) => {
    requireDelay('updateDelayedEvent')
    await translated(host.updateDelayed(delayId, action))
    return {}
  }
  const client = {
    getUserId: () => own.userId,
    getDeviceId: () => own.deviceId,
    async sendStateEvent(roomId: string, type: string, content: Record<string, unknown>, stateKey = '') {
      const { eventId } = await translated(host.sendState(type, stateKey, content))
      sent({ type, content, sender: own.userId, event_id: eventId, room_id: roomId, state_key: stateKey, origin_server_ts: Date.now() })
      return { event_id: eventId }
    },
    async _unstable_sendDelayedStateEvent(_roomId: string, options: { delay: number }, type: string, content: object, stateKey = '') {
      requireDelay('sendDelayedStateEvent')
      const { delayId } = await translated(host.sendStateLater(type, stateKey, content, options.delay))
      return { delay_id: delayId }
    },
    _unstable_updateDelayedEvent: (delayId: string, action: string) => update(delayId, action as DelayedAction),
    _unstable_cancelScheduledDelayedEvent: (delayId: string) => update(delayId, 'cancel'),
    _unstable_restartScheduledDelayedEvent: (delayId: string) => update(delayId, 'restart'),
    _unstable_sendScheduledDelayedEvent: (delayId: string) => update(delayId, 'send'),
  }
  return client as unknown as MembershipClient
}

/** The manager decides by the kind of error whether to try again, wait, or give up. */
async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw translate(error)
  }
}

function translate(error: unknown): unknown {
  if (error instanceof WidgetApiResponseError && error.data.matrix_api_error !== undefined) {
    return MatrixError.fromWidgetApiErrorData(error.data.matrix_api_error)
  }
  if (error instanceof Error && error.message === 'Request timed out') return new ConnectionError(error.message)
  return error
}
