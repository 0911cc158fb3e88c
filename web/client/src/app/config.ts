/** What the server tells the page before it starts: the JSON in the template. Not what the URL says (entrance.ts). */

export interface Config {
  version: string
  /** The server runs with --dev: the local sign-in exists. */
  dev: boolean
  /** Server name of the homeserver, such as `example.org`. */
  matrixServer: string
}

const DEFAULT: Config = { version: '', dev: false, matrixServer: '' }

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
  const { version, dev, matrix_server: server } = value as Record<string, unknown>
  return {
    version: typeof version === 'string' ? version : DEFAULT.version,
    dev: dev === true,
    matrixServer: typeof server === 'string' ? server : DEFAULT.matrixServer,
  }
}
