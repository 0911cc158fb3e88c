/** Boot, in this order: messages of the Matrix client, theme, language, flow, page. */
import './styles/index.css'
import { createRoot } from 'react-dom/client'
import { Api } from './app/api'
import { App } from './app/App'
import { readConfig } from './app/config'
import { FlowContext } from './app/context'
import { tabDevice, tabStorage } from './app/device'
import type { Entrance, WidgetEntrance } from './app/entrance'
import { parseEntrance } from './app/entrance'
import { ErrorBoundary } from './app/ErrorBoundary'
import type { Door } from './app/flow'
import { Flow } from './app/flow'
import { preferences } from './app/preferences'
import { applyTheme, themeOf } from './app/theme'
import { guardMessages } from './features/widget/gate'
import { changeLanguage, chooseLanguage, startI18n } from './i18n'

async function boot(): Promise<void> {
  const config = readConfig(document)
  const entrance = parseEntrance(new URL(location.href))
  const door = doorOf(entrance) // first of all: the Matrix client may be talking already
  if (entrance.kind === 'widget') applyTheme(themeOf(entrance.theme))
  await startI18n(chooseLanguage(wishes(entrance)))

  const flow = new Flow({
    api: new Api(),
    door: door ?? { kind: 'link', meetingId: '' },
    dev: config.dev,
    foci: config.foci,
    device: tabDevice(tabStorage()),
    makeSession: async (devices, onEnd, encryption) =>
      new (await import('./call/session')).CallSession(devices, onEnd, encryption),
    makeStay: async (parts) => await (await import('./rtc/stay')).stayInCall(parts),
  })
  const root = document.getElementById('root')
  if (root === null) throw new Error('The template has no #root')
  createRoot(root).render(
    <ErrorBoundary inWidget={flow.inWidget}>
      <FlowContext.Provider value={flow}>
        <App />
      </FlowContext.Provider>
    </ErrorBoundary>,
  )
  if (door === null) flow.refuse({ code: 'wrong_address' })
  else await flow.start()
}

function doorOf(entrance: Entrance): Door | null {
  if (entrance.kind === 'unknown') return null
  if (entrance.kind === 'link') return { kind: 'link', meetingId: entrance.meetingId }
  return { kind: 'widget', roomId: entrance.roomId, deviceId: entrance.deviceId, bridge: widgetBridge(entrance) }
}

/** One bridge per page, made when first wanted; after a failure the next try makes a new one. */
function widgetBridge(entrance: WidgetEntrance) {
  const gate = guardMessages(entrance.parentOrigin)
  const connect = async () =>
    await (await import('./features/widget/bridge')).connectWidget(entrance, gate, {
      theme: (name) => applyTheme(themeOf(name)),
      language: (tag) => void changeLanguage(chooseLanguage([tag])),
    })
  let bridge: ReturnType<typeof connect> | null = null
  return () => {
    bridge ??= connect().catch((error: unknown) => {
      bridge = null
      throw error
    })
    return bridge
  }
}

/** The Matrix client's language, then the person's choice, then the browser's. */
function wishes(entrance: Entrance): string[] {
  const client = entrance.kind === 'widget' ? [entrance.language] : []
  return [...client, preferences().language, ...navigator.languages].filter((wish) => wish !== '')
}

void boot()
