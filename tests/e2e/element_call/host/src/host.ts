// The page's entrance for tests: `host.signIn`, `host.enter`, `host.open`.
import type { MatrixClient } from 'matrix-js-sdk'
import { ClientWidgetApi, Widget, type IWidget } from 'matrix-widget-api'

import { CallDriver } from './driver'
import { feed, type Delivery } from './feed'
import { enter, signIn, type Login } from './matrix'

// As Element frames widgets.
const SANDBOX =
  'allow-forms allow-popups allow-popups-to-escape-sandbox allow-same-origin allow-scripts allow-presentation allow-downloads'
const ALLOW = 'microphone; camera; encrypted-media; autoplay; display-capture; clipboard-write; clipboard-read'

// What a call tells its client about itself: nothing here depends on it, but the widget waits for an answer.
const ACKNOWLEDGED = ['io.element.join', 'im.vector.hangup', 'io.element.device_mute', 'set_always_on_screen']

class Host {
  readonly deliveries: Delivery[] = []
  private client!: MatrixClient
  private close: () => void = () => {}

  async signIn(login: Login): Promise<void> {
    this.client = await signIn(login)
  }

  async enter(roomId: string, members: string[], via: string[]): Promise<void> {
    const room = await enter(this.client, roomId, members, via)
    document.getElementById('room')!.textContent = room.name
  }

  /** Write in the room that was entered, encrypted where it is. */
  async say(roomId: string, body: string): Promise<void> {
    await this.client.sendTextMessage(roomId, body)
  }

  /** Frame a widget at its whole address, for the room that was entered. */
  open(widgetId: string, roomId: string, url: string): void {
    this.close()
    const creatorUserId = this.client.getUserId()!
    const widget = new Widget({ id: widgetId, type: 'm.call', url, creatorUserId, waitForIframeLoad: false } as IWidget)
    const frame = document.createElement('iframe')
    frame.title = 'Call'
    frame.setAttribute('sandbox', SANDBOX)
    frame.allow = ALLOW
    frame.src = url
    document.getElementById('call')!.replaceChildren(frame)
    const api = new ClientWidgetApi(widget, frame, new CallDriver(this.client, this.client.getRoom(roomId)!))
    api.setViewedRoomId(roomId)
    const unfeed = feed(this.client, api, this.deliveries)
    this.close = () => {
      unfeed()
      api.stop()
      frame.remove()
    }
    for (const action of ACKNOWLEDGED)
      api.on(`action:${action}`, (event: CustomEvent) => {
        event.preventDefault()
        api.transport.reply(event.detail, {})
      })
    api.on('action:io.element.close', (event: CustomEvent) => {
      event.preventDefault()
      api.transport.reply(event.detail, {})
      this.close()
    })
  }
}

declare global {
  interface Window {
    host: Host
  }
}

window.host = new Host()
