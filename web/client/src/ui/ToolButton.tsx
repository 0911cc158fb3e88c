/** A button of the control bar: a picture, its name under it, and a state that is seen, read and never colour alone. */
import type { ReactNode } from 'react'
import { Button, ToggleButton } from 'react-aria-components'
import css from './ToolButton.module.css'

export interface ToolButtonProps {
  icon: ReactNode
  /** The word under the picture. */
  text: string
  /** The whole name for screen readers; holds the word, so that people who speak to their computer find it. */
  label?: string | undefined
  /** `off` is the alarming state of a muted device; `locked` can be pressed to hear why it can't be used. */
  tone?: 'plain' | 'off' | 'locked' | 'leave' | undefined
  /** Makes it a toggle: pressed or not. */
  pressed?: boolean | undefined
  badge?: number | undefined
  keys?: string | undefined
  disabled?: boolean | undefined
  onPress?: (() => void) | undefined
  /** Keeps its word where others show the picture alone. */
  named?: boolean | undefined
  /** Hidden where the bar is short of room; the same is then in the menu. */
  spare?: boolean | undefined
}

export function ToolButton({ icon, text, label, tone = 'plain', pressed, badge, keys, disabled, onPress, spare, named }: ToolButtonProps) {
  const className = `${css.tool} ${css[tone]} ${spare ? css.spare : ''} ${named ? css.named : ''}`
  const shared = { className, isDisabled: disabled ?? false, 'aria-label': label ?? text, onPress: () => onPress?.() }
  const content = (
    <>
      <span className={css.picture} title={label ?? text}>
        {icon}
      </span>
      <span className={css.text} aria-hidden="true">
        {text}
      </span>
      {badge !== undefined && badge > 0 && <span className={css.badge} data-count={badge > 99 ? '99+' : badge} aria-hidden="true" />}
    </>
  )
  if (pressed === undefined) return <Button {...shared} {...(keys ? { 'aria-keyshortcuts': keys } : {})}>{content}</Button>
  return (
    <ToggleButton {...shared} isSelected={pressed} {...(keys ? { 'aria-keyshortcuts': keys } : {})}>
      {content}
    </ToggleButton>
  )
}
