/**
 * The only way in for messages of other windows: those of the Matrix client around us, from its origin, and no other.
 *
 * Starts listening before anything else runs and keeps what arrives until the widget bridge has loaded: clients
 * begin to talk as soon as the frame has loaded, and don't say it twice.
 */

export interface Gate {
  /** Hands over what has waited and lets later messages through. Call once, when the listener behind is ready. */
  open(): void
}

export function guardMessages(origin: string, window: Window = globalThis.window): Gate {
  const client = window.parent
  const waiting: MessageEvent[] = []
  let isOpen = false

  const receive = (event: MessageEvent) => {
    const genuine = event.source === client && event.origin === origin
    if (genuine && isOpen) return
    event.stopImmediatePropagation()
    if (genuine) waiting.push(event)
  }
  window.addEventListener('message', receive, { capture: true })

  return {
    open() {
      isOpen = true
      for (const { data, source } of waiting.splice(0)) {
        window.dispatchEvent(new MessageEvent('message', { data, origin, source }))
      }
    },
  }
}
