/** Who is seen and how large: everybody alike, or a shared screen with the people beside it. */
import { useTranslation } from 'react-i18next'
import type { Person, Picture } from '../../call/roster'
import { useRoster } from '../call/context'
import { Grid } from './Grid'
import css from './Stage.module.css'
import { PersonTile, ScreenTile } from './Tile'

export function Stage() {
  const { people, screens } = useRoster()
  const shown = people.filter(({ recorder }) => !recorder) // It has no face; the people panel and the chips show it.
  const [main, ...others] = screens.toReversed() // The latest is the one people talk about.
  return main === undefined ? <Grid people={shown} /> : <Focus main={main} others={others} people={shown} />
}

function Focus({ main, others, people }: { main: Picture; others: Picture[]; people: Person[] }) {
  const { t } = useTranslation('call')
  return (
    <div className={css.focus}>
      <div className={css.main}>
        <ScreenTile picture={main} />
      </div>
      <ul className={css.strip} aria-label={t('people')}>
        {others.map((picture) => (
          <li key={`${picture.person.identity} screen`}>
            <ScreenTile picture={picture} />
          </li>
        ))}
        {people.map((person) => (
          <li key={person.identity}>
            <PersonTile person={person} />
          </li>
        ))}
      </ul>
    </div>
  )
}
