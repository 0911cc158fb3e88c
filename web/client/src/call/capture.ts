/** Who records or transcribes, and who agreed: reads the room's metadata and the participants' attributes. */

export const KINDS = ['recording', 'transcription'] as const
export type Kind = (typeof KINDS)[number]

/** What somebody may agree to: to be captured, or to be heard by programs in the call. */
export type Consent = Kind | 'agent'

/** What somebody answers. */
export type Answer = 'yes' | 'no'

/** What the server says of somebody's answer; null while that kind is not captured. */
export type Standing = 'asked' | Answer | null

/** `since` in seconds since the epoch; `by` a Matrix user id, an identity in the call, or a name. */
export interface Running {
  by: string
  since: number
}

export type Capture = Record<Kind, Running | null>
export type Standings = Record<Kind, Standing>

export const NOTHING: Capture = { recording: null, transcription: null }
export const UNASKED: Standings = { recording: null, transcription: null }

export function parseCapture(value: unknown): Capture {
  const source = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  return { recording: parseRunning(source['recording']), transcription: parseRunning(source['transcription']) }
}

function parseRunning(value: unknown): Running | null {
  if (typeof value !== 'object' || value === null) return null
  const { by, since } = value as Record<string, unknown>
  return { by: typeof by === 'string' ? by : '', since: typeof since === 'number' ? since : 0 }
}

/** Room metadata is JSON written by the server; a room without any (another client's) captures nothing. */
export function captureOf(metadata: string | undefined): Capture {
  return parseCapture(parseMetadata(metadata)['capture'])
}

/** The id under which an answer names the call; null in a room of another service. */
export function callIdOf(metadata: string | undefined): string | null {
  const id = parseMetadata(metadata)['call']
  return typeof id === 'string' && id !== '' ? id : null
}

function parseMetadata(metadata: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(metadata ?? '')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

export function standingsOf(attributes: Readonly<Record<string, string>> | undefined): Standings {
  const read = (kind: Kind): Standing => {
    const value = attributes?.[`palabre.consent.${kind}`]
    return value === 'asked' || value === 'yes' || value === 'no' ? value : null
  }
  return { recording: read('recording'), transcription: read('transcription') }
}

export function running(capture: Capture): Kind[] {
  return KINDS.filter((kind) => capture[kind] !== null)
}

/** The part of a Matrix user id that a person recognises, for somebody who is no longer in the call. */
export function localpart(by: string): string {
  return /^@([^:]+):/.exec(by)?.[1] ?? by
}
