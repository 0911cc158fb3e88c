/** The size of an element, as it changes. */
import { useLayoutEffect, useRef, useState } from 'react'

export interface Box {
  width: number
  height: number
}

export function useBox<E extends HTMLElement>() {
  const ref = useRef<E>(null)
  const [box, setBox] = useState<Box>({ width: 0, height: 0 })
  useLayoutEffect(() => {
    const element = ref.current
    if (element === null) return
    const measure = () => setBox({ width: element.clientWidth, height: element.clientHeight })
    measure()
    if (typeof ResizeObserver === 'undefined') return
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return [ref, box] as const
}
