/** What the person chose last time: devices, and whether they come in with camera and microphone. Never who they are. */
import type { Devices } from '../call/devices'
import { DEFAULT_DEVICES } from '../call/devices'

export interface Preferences {
  devices: Devices
  microphone: boolean
  camera: boolean
  language: string
}

const KEY = 'palabre.preferences.1'
export const DEFAULTS: Preferences = { devices: DEFAULT_DEVICES, microphone: true, camera: true, language: '' }

/** Kept in memory where the browser forbids storage (third-party frames). */
let current: Preferences | null = null

export function preferences(): Preferences {
  current ??= read()
  return current
}

export function remember(change: Partial<Preferences>): void {
  current = { ...preferences(), ...change }
  try {
    window.localStorage.setItem(KEY, JSON.stringify(current))
  } catch {
    // Forbidden or full: it holds until the page closes.
  }
}

function read(): Preferences {
  try {
    return parsePreferences(JSON.parse(window.localStorage.getItem(KEY) ?? 'null'))
  } catch {
    return DEFAULTS
  }
}

export function parsePreferences(value: unknown): Preferences {
  const source = record(value)
  const devices = record(source['devices'])
  const text = (candidate: unknown) => (typeof candidate === 'string' ? candidate : '')
  return {
    devices: { microphone: text(devices['microphone']), camera: text(devices['camera']), speaker: text(devices['speaker']) },
    microphone: source['microphone'] !== false,
    camera: source['camera'] !== false,
    language: text(source['language']),
  }
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
