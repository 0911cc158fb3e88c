/** Everybody alike, as large as fits, in pages when there are many. */
import { ChevronLeft, ChevronRight } from 'lucide-react'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { bestGrid, pageOf, tilesPerPage } from '../../call/grid'
import type { Person } from '../../call/roster'
import { useBox } from '../../hooks/useBox'
import { IconButton } from '../../ui/Button'
import css from './Stage.module.css'
import { PersonTile } from './Tile'

const GAP = 12 // CSS pixels

export function Grid({ people }: { people: readonly Person[] }) {
  const { t } = useTranslation('call')
  const [ref, box] = useBox<HTMLUListElement>()
  const [wanted, setWanted] = useState(0)
  const { page, pages, items } = pageOf(people, tilesPerPage(box.width, box.height, GAP), wanted)
  const grid = bestGrid(items.length, box.width, box.height, GAP)
  // Half columns, so that an incomplete last row can stand in the middle.
  const style = {
    gridTemplateColumns: `repeat(${grid.columns * 2}, ${(grid.width - GAP) / 2}px)`,
    gridAutoRows: `${grid.height}px`,
    gap: `${GAP}px`,
  }
  return (
    <div className={css.pages}>
      <ul ref={ref} className={css.grid} style={style} aria-label={t('people')}>
        {items.map((person, index) => (
          <li key={person.identity} style={index === grid.lastRow ? { gridColumnStart: grid.lastStart } : undefined}>
            <PersonTile person={person} />
          </li>
        ))}
      </ul>
      {people.length === 1 && <p className={css.alone}>{t('alone')}</p>}
      {pages > 1 && (
        <nav className={css.pager} aria-label={t('pages')}>
          <IconButton tone="plain" label={t('page_previous')} icon={<ChevronLeft size={20} aria-hidden />} isDisabled={page === 0} onPress={() => setWanted(page - 1)} />
          <span aria-live="polite">{t('page', { page: page + 1, pages })}</span>
          <IconButton tone="plain" label={t('page_next')} icon={<ChevronRight size={20} aria-hidden />} isDisabled={page === pages - 1} onPress={() => setWanted(page + 1)} />
        </nav>
      )}
    </div>
  )
}
