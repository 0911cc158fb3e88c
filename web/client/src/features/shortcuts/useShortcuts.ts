/** Listens for the table's key presses while a screen is shown. */
import { useEffect, useRef } from 'react'
import type { Action } from '../../call/shortcuts'
import { actionOf } from '../../call/shortcuts'

export type Handlers = Partial<Record<Action, () => void>>

export function useShortcuts(handlers: Handlers): void {
  const latest = useRef(handlers)
  useEffect(() => {
    latest.current = handlers
  })
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const action = actionOf(event)
      const handle = action === null ? undefined : latest.current[action]
      if (handle === undefined || event.repeat) return
      event.preventDefault() // Control+D would bookmark the page.
      handle()
    }
    window.addEventListener('keydown', press)
    return () => window.removeEventListener('keydown', press)
  }, [])
}
