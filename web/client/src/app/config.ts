/** What the server tells the page before it starts: the JSON in the template. Not what the URL says (entrance.ts). */

export interface Config {
  version: string
  /** The server runs with --dev: the local sign-in exists. */
  dev: boolean
  /** Server name of the homeserver, such as `example.org`. */
  matrixServer: string
  /** Relays of others that the page may connect to: origins, or `https:` for any. */
  foci: string[]
}

const DEFAULT: Config = { version: '', dev: false, matrixServer: '', foci: [] }

/** Reads `<script type="application/json" id="config">`; anything missing or malformed takes its default. */
export function readConfig(document: Document): Config {
  const text = document.getElementById('config')?.textContent ?? ''
  try {
    return parseConfig(JSON.parse(text))
  } catch {
    return DEFAULT
  }
}

export function parseConfig(value: unknown): Config {
  if (typeof value !== 'object' || value === null) return DEFAULT
  const { version, dev, matrix_server: server, foci } = value as Record<string, unknown>
  return {
    version: typeof version === 'string' ? version : DEFAULT.version,
    dev: dev === true,
    matrixServer: typeof server === 'string' ? server : DEFAULT.matrixServer,
    foci: Array.isArray(foci) ? foci.filter((focus) => typeof focus === 'string') : DEFAULT.foci,
  }
}
