import { act, screen } from '@testing-library/react'
import { describe, expect, test } from 'vitest'
import { fakeCall, faults, THEMES } from '../../test/render'
import PeoplePanel from './PeoplePanel'

const RUNNING = { by: 'x', since: 1 }

describe('the list of people', () => {
  test('shows oneself, one’s devices and what one answered', () => {
    const { show, tell } = fakeCall()
    show(<PeoplePanel onClose={() => undefined} />)
    act(() => tell({ recording: RUNNING }, { recording: 'no' }))
    expect(screen.getByRole('heading', { name: 'Participants (1)' })).toBeTruthy()
    const row = screen.getByRole('listitem')
    expect(row.textContent).toContain('Ana Pereira (vous)')
    expect(row.textContent).toContain('micro coupé, caméra coupée')
    expect(row.textContent).toContain('Refuse l’enregistrement')
  })

  test('says nothing of consent while nothing is captured', () => {
    const { show } = fakeCall()
    show(<PeoplePanel onClose={() => undefined} />)
    expect(screen.getByRole('listitem').textContent).not.toContain('nregistrement')
  })

  test.each(THEMES)('has no accessibility fault in the %s theme', async (theme) => {
    const { show, tell } = fakeCall()
    const { container } = show(<PeoplePanel onClose={() => undefined} />, theme)
    act(() => tell({ recording: RUNNING }, { recording: 'asked' }))
    expect(await faults(container)).toEqual([])
  })
})
