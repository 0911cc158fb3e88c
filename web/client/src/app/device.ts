/** The name of this tab on the server. A reload keeps it, so that the reloaded page replaces its own ghost. */

const KEY = 'palabre.device'
const PATTERN = /^[A-Za-z0-9_-]{1,32}$/

/** `storage` is null where the browser forbids it (third-party frames): then a reload is a new device. */
export function tabDevice(storage: Storage | null): string {
  const known = read(storage)
  if (known !== null && PATTERN.test(known)) return known
  const fresh = crypto.randomUUID().replaceAll('-', '').slice(0, 16)
  try {
    storage?.setItem(KEY, fresh)
  } catch {
    // Full or forbidden: the id lives as long as the page.
  }
  return fresh
}

function read(storage: Storage | null): string | null {
  try {
    return storage?.getItem(KEY) ?? null
  } catch {
    return null
  }
}

/** Storage or null: merely touching `sessionStorage` throws in frames without storage access. */
export function tabStorage(): Storage | null {
  try {
    return window.sessionStorage
  } catch {
    return null
  }
}
