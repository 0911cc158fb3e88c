/** A line across the call while something matters or wants a decision. */
import type { ReactNode } from 'react'
import { useId } from 'react'
import css from './Banner.module.css'

export function Banner(props: { title: string; tone?: 'warn' | 'calm' | 'danger'; actions?: ReactNode; children?: ReactNode }) {
  const id = useId()
  return (
    <section className={`${css.banner} ${css[props.tone ?? 'warn']}`} aria-labelledby={id}>
      <p>
        <strong id={id}>{props.title}</strong> <span className={css.detail}>{props.children}</span>
      </p>
      {props.actions !== undefined && <div className={css.actions}>{props.actions}</div>}
    </section>
  )
}
