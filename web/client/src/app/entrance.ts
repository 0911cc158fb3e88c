/** Which door somebody came through: a link, or a widget inside a Matrix client. Reads the address, nothing else. */

export interface WidgetEntrance {
  kind: 'widget'
  widgetId: string
  /** Origin of the Matrix client: the only one we talk to. */
  parentOrigin: string
  roomId: string
  userId: string
  deviceId: string
  language: string
  theme: string
}

export type Entrance = { kind: 'link'; meetingId: string } | WidgetEntrance | { kind: 'unknown' }

/** Ids are short and plain (docs/http-api.md); anything else is a mistyped link. */
const MEETING_PATH = /^\/m\/([A-Za-z0-9_-]{1,64})\/?$/

export function parseEntrance(url: URL): Entrance {
  const meeting = MEETING_PATH.exec(url.pathname)?.[1]
  if (meeting) return { kind: 'link', meetingId: meeting }
  if (/^\/widget\/?$/.test(url.pathname)) return parseWidget(url.searchParams) ?? { kind: 'unknown' }
  return { kind: 'unknown' }
}

function parseWidget(query: URLSearchParams): WidgetEntrance | null {
  const get = (name: string) => unfilled(query.get(name) ?? '')
  const parentOrigin = originOf(get('parentUrl'))
  const widgetId = get('widgetId')
  const roomId = get('roomId')
  if (!parentOrigin || !widgetId || !roomId) return null
  return {
    kind: 'widget',
    widgetId,
    parentOrigin,
    roomId,
    userId: get('userId'),
    deviceId: get('deviceId'),
    language: get('clientLanguage'),
    theme: get('clientTheme'),
  }
}

/** Clients leave variables that they don't know as they are (`$org.matrix.msc2873.client_theme`): that is no value. */
function unfilled(value: string): string {
  return value.startsWith('$') ? '' : value
}

/** Only web origins: `javascript:` and `data:` addresses have the origin "null". */
function originOf(address: string): string | null {
  try {
    const url = new URL(address)
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.origin : null
  } catch {
    return null
  }
}
