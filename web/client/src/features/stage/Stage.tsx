/** Who is seen and how large: everybody alike, or a shared screen with the people beside it. */
import type { TrackReferenceOrPlaceholder } from '@livekit/components-react'
import { useTracks } from '@livekit/components-react'
import { Track } from 'livekit-client'
import { useTranslation } from 'react-i18next'
import { Grid } from './Grid'
import css from './Stage.module.css'
import { keyOf, Tile } from './Tile'

export function Stage() {
  const tracks = useTracks(
    [
      { source: Track.Source.Camera, withPlaceholder: true },
      { source: Track.Source.ScreenShare, withPlaceholder: false },
    ],
    { onlySubscribed: false },
  )
  // One's own screen is not shown: it would be a hall of mirrors. The banner says that it is shared.
  const screens = tracks.filter(({ source, participant }) => source === Track.Source.ScreenShare && !participant.isLocal)
  const people = tracks.filter(({ source }) => source === Track.Source.Camera).toSorted(byArrival)
  const [main, ...others] = screens.toReversed() // The latest is the one people talk about.
  return main === undefined ? <Grid people={people} /> : <Focus main={main} others={[...others, ...people]} />
}

function byArrival(a: TrackReferenceOrPlaceholder, b: TrackReferenceOrPlaceholder): number {
  if (a.participant.isLocal !== b.participant.isLocal) return a.participant.isLocal ? -1 : 1
  return (a.participant.joinedAt?.getTime() ?? 0) - (b.participant.joinedAt?.getTime() ?? 0)
}

function Focus({ main, others }: { main: TrackReferenceOrPlaceholder; others: TrackReferenceOrPlaceholder[] }) {
  const { t } = useTranslation('call')
  return (
    <div className={css.focus}>
      <div className={css.main}>
        <Tile track={main} />
      </div>
      <ul className={css.strip} aria-label={t('people')}>
        {others.map((track) => (
          <li key={keyOf(track)}>
            <Tile track={track} />
          </li>
        ))}
      </ul>
    </div>
  )
}
