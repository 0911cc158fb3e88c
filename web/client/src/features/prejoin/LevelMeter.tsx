/** A bar that moves with the voice. Drawn outside React: it changes sixty times a second. */
import { useEffect, useRef } from 'react'
import { loudness, smooth } from '../../call/level'
import css from './LevelMeter.module.css'

const SEGMENTS = 12

export function LevelMeter({ track, label, hint }: { track: MediaStreamTrack; label: string; hint: string }) {
  const meter = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const element = meter.current
    if (element === null || typeof AudioContext === 'undefined') return
    return watch(track, (level) => show(element, level))
  }, [track])
  return (
    <div className={css.level}>
      <div ref={meter} className={css.bar} role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={0}>
        {Array.from({ length: SEGMENTS }, (_, index) => (
          <span key={index} />
        ))}
      </div>
      <p className={css.hint}>{hint}</p>
    </div>
  )
}

function show(element: HTMLElement, level: number): void {
  element.setAttribute('aria-valuenow', String(Math.round(level * 100)))
  const lit = Math.round(level * SEGMENTS)
  for (const [index, segment] of [...element.children].entries()) segment.toggleAttribute('data-lit', index < lit)
}

/** Returns how to stop. */
function watch(track: MediaStreamTrack, tell: (level: number) => void): () => void {
  const context = new AudioContext()
  const analyser = context.createAnalyser()
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  let level = 0
  let frame = 0
  const draw = () => {
    analyser.getFloatTimeDomainData(samples)
    level = smooth(level, loudness(samples))
    tell(level)
    frame = requestAnimationFrame(draw)
  }
  draw()
  return () => {
    cancelAnimationFrame(frame)
    void context.close()
  }
}
