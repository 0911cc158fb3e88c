import { act, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import type { Participant } from 'livekit-client'
import { RemoteParticipant } from 'livekit-client'
import { describe, expect, test, vi } from 'vitest'
import { ApiError } from '../../app/api'
import { live } from '../../app/live'
import type { Person } from '../../call/roster'
import { fakeCall, faults, THEMES } from '../../test/render'
import { Moderation } from './Moderation'

function withBruno(may = { moderate: true }, speaks = true) {
  const call = fakeCall(may)
  const bruno = new RemoteParticipant({} as never, 'PA_b', 'bruno-d1', 'Bruno')
  vi.spyOn(bruno, 'isMicrophoneEnabled', 'get').mockReturnValue(speaks)
  call.room.remoteParticipants.set('bruno-d1', bruno)
  return { ...call, person: personOf(bruno) }
}

function personOf(participant: Participant): Person {
  return { identity: participant.identity, name: 'Bruno', participant, isLocal: false, waiting: null, recorder: false, since: 0 }
}

describe('moderation', () => {
  test('is offered to those who may, as soon and as long as they may', async () => {
    const { show, person, allow } = withBruno({ moderate: false })
    show(<Moderation person={person} />)
    expect(screen.queryByRole('button')).toBeNull()
    act(() => allow({ moderate: true }))
    expect(await screen.findByRole('button', { name: 'Modérer Bruno' })).toBeTruthy()
    act(() => allow({ moderate: false }))
    expect(screen.queryByRole('button')).toBeNull()
  })

  test('is not offered on oneself, on the service, or on people whom our server does not have', () => {
    const { show, person, room } = withBruno()
    show(
      <>
        <Moderation person={{ ...personOf(room.localParticipant), isLocal: true }} />
        <Moderation person={{ ...person, recorder: true }} />
        <Moderation person={{ ...person, identity: 'elsewhere' }} />
      </>,
    )
    expect(screen.queryByRole('button')).toBeNull()
  })

  test('mutes, by keyboard alone, and says so', async () => {
    const { show, person, flow } = withBruno()
    show(<Moderation person={person} />)
    await screen.findByRole('button', { name: 'Modérer Bruno' })
    await userEvent.tab()
    await userEvent.keyboard('{Enter}')
    await screen.findByRole('menuitem', { name: 'Couper le micro' })
    await userEvent.keyboard('{Enter}')
    expect(flow.mute).toHaveBeenCalledWith('bruno-d1')
    await expect.poll(() => live.getState().notices.at(-1)?.text).toBe('Bruno a maintenant le micro coupé, et peut le rouvrir.')
  })

  test('says when nothing was to be muted here, and offers no mute where nothing is heard', async () => {
    const { show, person, flow } = withBruno()
    vi.mocked(flow.mute).mockResolvedValue(0)
    const { unmount } = show(<Moderation person={person} />)
    await userEvent.click(await screen.findByRole('button', { name: 'Modérer Bruno' }))
    await userEvent.click(await screen.findByRole('menuitem', { name: 'Couper le micro' }))
    await expect.poll(() => live.getState().notices.at(-1)?.text).toContain('rien n’a été coupé')
    unmount()
    const silent = withBruno({ moderate: true }, false)
    silent.show(<Moderation person={silent.person} />)
    await userEvent.click(await screen.findByRole('button', { name: 'Modérer Bruno' }))
    await screen.findByRole('menuitem', { name: 'Retirer de l’appel…' })
    expect(screen.queryByRole('menuitem', { name: 'Couper le micro' })).toBeNull()
  })

  test('removes only whoever is asked about twice, and the first answer is no', async () => {
    const { show, person, flow } = withBruno()
    show(<Moderation person={person} />)
    await userEvent.click(await screen.findByRole('button', { name: 'Modérer Bruno' }))
    await userEvent.click(await screen.findByRole('menuitem', { name: 'Retirer de l’appel…' }))
    const dialog = await screen.findByRole('dialog', { name: 'Retirer Bruno de l’appel\u202f?' })
    expect(dialog.textContent).toContain('ne pourra pas y revenir avant la fin')
    expect(document.activeElement?.textContent).toBe('Annuler')
    expect(flow.remove).not.toHaveBeenCalled()
    await userEvent.click(screen.getByRole('button', { name: 'Retirer' }))
    expect(flow.remove).toHaveBeenCalledWith('bruno-d1')
    await expect.poll(() => live.getState().notices.at(-1)?.text).toBe('Bruno ne fait plus partie de l’appel.')
  })

  test('a refusal is told in words', async () => {
    const { show, person, flow } = withBruno()
    vi.mocked(flow.remove).mockRejectedValue(new ApiError('removal_forbidden', 403))
    show(<Moderation person={person} />)
    await userEvent.click(await screen.findByRole('button', { name: 'Modérer Bruno' }))
    await userEvent.click(await screen.findByRole('menuitem', { name: 'Retirer de l’appel…' }))
    await userEvent.click(await screen.findByRole('button', { name: 'Retirer' }))
    await expect.poll(() => live.getState().notices.at(-1)?.tone).toBe('trouble')
    expect(live.getState().notices.at(-1)?.text).toContain('pouvoir')
  })

  test.each(THEMES)('has no accessibility fault in the %s theme', async (theme) => {
    const { show, person } = withBruno()
    const { baseElement } = show(<main><h1>x</h1><Moderation person={person} /></main>, theme)
    await userEvent.click(await screen.findByRole('button', { name: 'Modérer Bruno' }))
    await screen.findByRole('menuitem', { name: 'Couper le micro' })
    expect(await faults(baseElement)).toEqual([])
  })
})
