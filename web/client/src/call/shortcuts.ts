/** Every keyboard shortcut, once: handlers, the help dialog and the labels of buttons all read this table. */

export const SHORTCUTS = {
  microphone: { key: 'd', ctrl: true, shift: false },
  camera: { key: 'e', ctrl: true, shift: false },
  screen: { key: 'e', ctrl: true, shift: true },
  chat: { key: 'm', ctrl: true, shift: true },
  people: { key: 'l', ctrl: true, shift: true },
  regions: { key: 'F6', ctrl: false, shift: false },
  help: { key: 'F1', ctrl: false, shift: false },
} as const

export type Action = keyof typeof SHORTCUTS

interface Chord {
  key: string
  ctrl: boolean
  shift: boolean
}

type Pressed = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey'>

/** What a key press asks for, or null. Command counts as Control; with Alt it is somebody typing a character. */
export function actionOf(event: Pressed): Action | null {
  if (event.altKey) return null
  const ctrl = event.ctrlKey || event.metaKey
  for (const [action, chord] of Object.entries(SHORTCUTS) as [Action, Chord][]) {
    if (event.key.toLowerCase() === chord.key.toLowerCase() && ctrl === chord.ctrl && event.shiftKey === chord.shift) {
      return action
    }
  }
  return null
}

/** The names of keys on the keyboard in front of the person. */
export interface KeyNames {
  ctrl: string
  shift: string
}

export function keysOf(action: Action, names: KeyNames): string[] {
  const chord: Chord = SHORTCUTS[action]
  const key = chord.key.length === 1 ? chord.key.toUpperCase() : chord.key
  return [...(chord.ctrl ? [names.ctrl] : []), ...(chord.shift ? [names.shift] : []), key]
}

/** The form of `aria-keyshortcuts`. */
export function ariaKeys(action: Action): string {
  return keysOf(action, { ctrl: 'Control', shift: 'Shift' }).join('+')
}
