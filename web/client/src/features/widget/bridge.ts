/** What we ask of the Matrix client around us, over matrix-widget-api: who the person is, to stay visible, its room. */
import type { IWidgetApiRequest } from 'matrix-widget-api'
import { MatrixCapabilities, UnstableApiVersion, WidgetApi, WidgetApiToWidgetAction } from 'matrix-widget-api'
import type { OpenId } from '../../app/api'
import type { WidgetEntrance } from '../../app/entrance'
import type { MatrixHost } from '../../rtc/host'
import type { Gate } from './gate'
import { matrixHost } from './matrix'

export interface WidgetBridge {
  /** Asks the client to vouch for the person. Raises `WidgetError`. */
  openId(): Promise<OpenId>
  /** A running call stays on screen while the person reads another room. */
  keepVisible(visible: boolean): Promise<void>
  /** Asks the client for more than to stay visible; what it allows of everything so far. Never raises. */
  allow(capabilities: readonly string[]): Promise<ReadonlySet<string>>
  /** The room, as far as the client allows. */
  readonly matrix: MatrixHost
}

/** `widget_no_answer`: nobody behind the frame · `widget_refused`: the person or the client said no. */
export class WidgetError extends Error {
  constructor(readonly code: 'widget_no_answer' | 'widget_refused') {
    super(code)
    this.name = 'WidgetError'
  }
}

export interface HostEvents {
  theme(name: string): void
  language(tag: string): void
}

/** Clients ask the person whether the widget may know who they are: that takes the time a person takes. */
const PATIENCE = 120_000 // ms
/** A client that is there begins the conversation at once. */
const HANDSHAKE = 20_000 // ms

export async function connectWidget(entrance: WidgetEntrance, gate: Gate, events: HostEvents): Promise<WidgetBridge> {
  const api = new WidgetApi(entrance.widgetId, entrance.parentOrigin)
  silence(api, entrance.parentOrigin)
  api.requestCapability(MatrixCapabilities.AlwaysOnScreen)
  listen(api, WidgetApiToWidgetAction.ThemeChange, 'name', events.theme)
  listen(api, WidgetApiToWidgetAction.LanguageChange, 'lang', events.language)
  const ready = new Promise<void>((resolve) => api.once('ready', () => resolve()))
  api.start()
  gate.open()
  // A client that waits for the frame's load event refuses this message, and has no need of it.
  await api.sendContentLoaded().catch(() => undefined)
  await within(ready, HANDSHAKE, 'widget_no_answer')

  const openId = async (): Promise<OpenId> => {
    const token = await within(api.requestOpenIDConnectToken(), PATIENCE, 'widget_refused').catch(() => {
      throw new WidgetError('widget_refused')
    })
    const { access_token, token_type, matrix_server_name, expires_in } = token
    if (!access_token || !matrix_server_name) throw new WidgetError('widget_refused')
    return { access_token, matrix_server_name, token_type: token_type ?? 'Bearer', expires_in: expires_in ?? 0 }
  }
  return {
    openId,
    async keepVisible(visible) {
      await api.setAlwaysOnScreen(visible).catch(() => undefined) // Allowed or not, the call goes on.
    },
    allow: negotiation(api),
    matrix: matrixHost(api, entrance.roomId, openId),
  }
}

/** A second round of capabilities (MSC2974), in which the client may ask the person: once for each, if they agree. */
function negotiation(api: WidgetApi): WidgetBridge['allow'] {
  let approved: ReadonlySet<string> = new Set()
  const asked = new Set<string>()
  return async (capabilities) => {
    if (capabilities.every((capability) => approved.has(capability))) return approved
    const versions = await api.getClientVersions()
    if (!versions.includes(UnstableApiVersion.MSC2974) || !versions.includes(UnstableApiVersion.MSC2871)) return approved
    const answer = new Promise<void>((resolve) => {
      api.once(`action:${WidgetApiToWidgetAction.NotifyCapabilities}`, (event: CustomEvent<IWidgetApiRequest>) => {
        const list = (event.detail.data as { approved?: unknown }).approved
        approved = new Set(Array.isArray(list) ? list.filter((one) => typeof one === 'string') : [])
        resolve()
      })
    })
    const fresh = capabilities.filter((capability) => !asked.has(capability))
    for (const capability of fresh) asked.add(capability)
    try {
      api.requestCapabilities(fresh)
      await api.updateRequestedCapabilities()
      await within(answer, PATIENCE, 'widget_no_answer')
    } catch {
      // An old client, or nobody answered: what was allowed before is all there is.
    }
    return approved
  }
}

function listen(api: WidgetApi, action: WidgetApiToWidgetAction, field: string, tell: (value: string) => void): void {
  api.on(`action:${action}`, (event: CustomEvent<IWidgetApiRequest>) => {
    event.preventDefault()
    const value = (event.detail.data as Record<string, unknown>)[field]
    if (typeof value === 'string') tell(value)
    api.transport.reply(event.detail, {})
  })
}

/**
 * matrix-widget-api writes every message to the console, the answer with the person's token included. Its transport
 * has one private method that does so; bridge.test.ts notices if a new version names it otherwise.
 */
function silence(api: WidgetApi, origin: string): void {
  const transport = api.transport as unknown as { sendInternal(message: unknown): void }
  transport.sendInternal = (message) => globalThis.parent.postMessage(message, origin)
}

async function within<T>(work: Promise<T>, limit: number, code: WidgetError['code']): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new WidgetError(code)), limit)
  })
  return await Promise.race([work, late]).finally(() => clearTimeout(timer))
}
