import { act, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { RemoteParticipant } from 'livekit-client'
import { describe, expect, test, vi } from 'vitest'
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

  test('tells who was muted by whom', () => {
    const { show, room } = fakeCall()
    room.remoteParticipants.set('bruno-d1', new RemoteParticipant({} as never, 'PA_b', 'bruno-d1', 'Bruno', '', { 'palabre.muted_by': 'Chloé' }))
    show(<PeoplePanel onClose={() => undefined} />)
    expect(screen.getByText('Micro coupé par Chloé')).toBeTruthy()
  })

  test('Escape closes a person’s menu, and not the list with it', async () => {
    const { show, room } = fakeCall({ moderate: true })
    room.remoteParticipants.set('bruno-d1', new RemoteParticipant({} as never, 'PA_b', 'bruno-d1', 'Bruno'))
    const onClose = vi.fn()
    show(<PeoplePanel onClose={onClose} />)
    const menu = await screen.findByRole('button', { name: 'Modérer Bruno' })
    await userEvent.click(menu)
    await screen.findByRole('menuitem', { name: 'Retirer de l’appel…' })
    await userEvent.keyboard('{Escape}')
    expect(screen.queryByRole('menuitem')).toBeNull()
    expect(onClose).not.toHaveBeenCalled()
    await expect.poll(() => document.activeElement).toBe(menu)
    await userEvent.keyboard('{Escape}')
    expect(onClose).toHaveBeenCalledOnce()
  })

  test.each(THEMES)('has no accessibility fault in the %s theme', async (theme) => {
    const { show, tell } = fakeCall()
    const { container } = show(<PeoplePanel onClose={() => undefined} />, theme)
    act(() => tell({ recording: RUNNING }, { recording: 'asked' }))
    expect(await faults(container)).toEqual([])
  })
})
