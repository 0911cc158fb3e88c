/** The heading of a screen. Takes the focus when the screen appears, so that screen readers begin to read there. */
import type { ReactNode } from 'react'
import { useEffect, useRef } from 'react'

export function Title({ children, id, className }: { children: ReactNode; id?: string; className?: string | undefined }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    // Somebody who is already doing something keeps the focus.
    if (document.activeElement === null || document.activeElement === document.body) heading.current?.focus({ preventScroll: true })
  }, [])
  return (
    <h1 ref={heading} id={id} className={className} tabIndex={-1}>
      {children}
    </h1>
  )
}
