/** A short standing fact, and the same as a button that explains itself. */
import type { ReactNode } from 'react'
import { Button } from 'react-aria-components'
import css from './Chip.module.css'

export type ChipTone = 'plain' | 'alert' | 'accent' | 'ok' | 'no' | 'waiting'

export function Chip({ tone = 'plain', icon, children }: { tone?: ChipTone; icon?: ReactNode; children: ReactNode }) {
  return (
    <span className={`${css.chip} ${css[tone]}`}>
      {icon}
      <span>{children}</span>
    </span>
  )
}

/** `shrinks`: to its picture alone, on small screens or only on the smallest. */
export function ChipButton(props: { tone?: ChipTone; icon?: ReactNode; children: string; shrinks?: 'early' | 'late' }) {
  return (
    <Button
      aria-label={props.children}
      className={`${css.chip} ${css.button} ${css[props.tone ?? 'plain']} ${props.shrinks ? css[props.shrinks] : ''}`}
    >
      {props.icon}
      <span className={css.word} aria-hidden="true">
        {props.children}
      </span>
    </Button>
  )
}
