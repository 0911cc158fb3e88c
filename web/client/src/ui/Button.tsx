/** Buttons of pages, dialogs and banners. Those of the control bar are ToolButton. */
import type { ReactNode } from 'react'
import { Button as AriaButton } from 'react-aria-components'
import type { ButtonProps as AriaButtonProps } from 'react-aria-components'
import css from './Button.module.css'

export interface ButtonProps extends Omit<AriaButtonProps, 'className' | 'style' | 'children'> {
  children: ReactNode
  tone?: 'plain' | 'primary' | 'danger' | 'quiet' | undefined
  /** 48 px high and as wide as its place: the one thing to do on a page. */
  main?: boolean | undefined
  icon?: ReactNode
}

export function Button({ children, tone = 'plain', main = false, icon, ...props }: ButtonProps) {
  return (
    <AriaButton {...props} className={`${css.button} ${css[tone]} ${main ? css.main : ''}`}>
      {icon}
      <span>{children}</span>
    </AriaButton>
  )
}

/** A button that is only a picture: the label is what it is called. */
export function IconButton({ label, icon, ...props }: Omit<ButtonProps, 'children' | 'main'> & { label: string }) {
  return (
    <AriaButton {...props} aria-label={label} className={`${css.button} ${css.icon} ${css[props.tone ?? 'quiet']}`}>
      {icon}
    </AriaButton>
  )
}
