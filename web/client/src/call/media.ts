/** Why a camera or microphone can't be used, from what the browser throws. Not how to say it (prejoin.json does). */

export type Device = 'microphone' | 'camera' | 'screen'

/**
 * `denied`: the person or the system said no · `embedded`: the Matrix client around us doesn't let the frame ·
 * `missing`: no such device · `busy`: another program has it · `insecure`: not HTTPS, so the browser offers none ·
 * `failed`: anything else.
 */
export type MediaTrouble = 'denied' | 'embedded' | 'missing' | 'busy' | 'insecure' | 'failed'

const TROUBLE: Record<string, MediaTrouble> = {
  NotAllowedError: 'denied',
  PermissionDeniedError: 'denied',
  SecurityError: 'denied',
  NotFoundError: 'missing',
  DevicesNotFoundError: 'missing',
  OverconstrainedError: 'missing',
  NotReadableError: 'busy',
  TrackStartError: 'busy',
  AbortError: 'busy',
}

/** `allowed`: whether the frame's permissions policy lets the device through. */
export function mediaTrouble(error: unknown, allowed = true): MediaTrouble {
  const name = (error as { name?: unknown } | null)?.name
  const trouble = (typeof name === 'string' && TROUBLE[name]) || 'failed'
  return trouble === 'denied' && !allowed ? 'embedded' : trouble
}

interface PolicyDocument {
  featurePolicy?: { allowsFeature(name: string): boolean }
}

/** Whether the page around us passes the device on to this frame; true where the browser can't say. */
export function deviceAllowed(device: Device, document: PolicyDocument = globalThis.document as PolicyDocument): boolean {
  return document.featurePolicy?.allowsFeature(device === 'screen' ? 'display-capture' : device) ?? true
}

/** Somebody closed the browser's own dialog of screens: no trouble to speak of. */
export function isCancelled(error: unknown): boolean {
  return (error as { name?: unknown } | null)?.name === 'NotAllowedError'
}
