import { act, screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, test, vi } from 'vitest'
import { live } from '../../app/live'
import { fakeCall, faults, THEMES } from '../../test/render'
import { ControlBar } from './ControlBar'

const bar = (over: Partial<Parameters<typeof ControlBar>[0]> = {}) => (
  <ControlBar panel={null} onPanel={() => undefined} onLeave={() => undefined} {...over} />
)

describe('the control bar', () => {
  test('is one stop for the Tab key, and the arrows walk through it', async () => {
    const { show } = fakeCall()
    show(bar())
    await userEvent.tab()
    expect(document.activeElement?.getAttribute('aria-label')).toBe('Micro coupé, activer')
    await userEvent.keyboard('{ArrowRight}')
    expect(document.activeElement?.getAttribute('aria-label')).toBe('Caméra coupée, activer')
  })

  test('switches by button and by shortcut', async () => {
    const { show, room } = fakeCall()
    const microphone = vi.spyOn(room.localParticipant, 'setMicrophoneEnabled').mockResolvedValue(undefined)
    const camera = vi.spyOn(room.localParticipant, 'setCameraEnabled').mockResolvedValue(undefined)
    show(bar())
    await userEvent.click(screen.getByRole('button', { name: 'Micro coupé, activer' }))
    await waitFor(() => expect(microphone).toHaveBeenCalledWith(true, undefined, undefined))
    await userEvent.keyboard('{Control>}e{/Control}')
    await waitFor(() => expect(camera).toHaveBeenCalledWith(true, undefined, undefined))
  })

  test('counts unread messages in words', async () => {
    const { show, call } = fakeCall()
    show(bar())
    act(() => call.session.chat.store.setState({ unread: 2 }))
    expect(screen.getByRole('button', { name: 'Messages, 2 non lus' })).toBeTruthy()
  })

  test('leaves, and opens panels', async () => {
    const { show } = fakeCall()
    const onLeave = vi.fn()
    const onPanel = vi.fn()
    show(bar({ onLeave, onPanel }))
    await userEvent.click(screen.getByRole('button', { name: 'Participants' }))
    await userEvent.keyboard('{Control>}{Shift>}m{/Shift}{/Control}')
    expect(onPanel.mock.calls).toEqual([['people'], ['chat']])
    await userEvent.click(screen.getByRole('button', { name: 'Quitter la réunion' }))
    expect(onLeave).toHaveBeenCalledOnce()
  })

  test('locks the switches of those who may only listen, and says why on each', async () => {
    const { show, room } = fakeCall({ publish: false, share: false })
    const microphone = vi.spyOn(room.localParticipant, 'setMicrophoneEnabled')
    show(bar())
    await userEvent.click(screen.getByRole('button', { name: /^Micro\s: ce salon ne vous y autorise pas/ }))
    await userEvent.keyboard('{Control>}e{/Control}')
    expect(live.getState().notices.map(({ text }) => text.split(/\s/)[0])).toEqual(['Micro', 'Caméra'])
    expect(microphone).not.toHaveBeenCalled()
  })

  test('follows what the room allows during the call', async () => {
    const { show, allow } = fakeCall()
    show(bar())
    expect(screen.getByRole('button', { name: 'Micro coupé, activer' })).toBeTruthy()
    act(() => allow({ publish: false, capture: false }))
    expect(screen.queryByRole('button', { name: 'Micro coupé, activer' })).toBeNull()
    await userEvent.click(screen.getByRole('button', { name: 'Plus de commandes' }))
    await screen.findByRole('menuitem', { name: /Raccourcis/ })
    expect(screen.queryByRole('menuitem', { name: /Enregistrer/ })).toBeNull()
    act(() => allow({ publish: true, capture: true }))
    expect(screen.getByRole('menuitem', { name: /Enregistrer/ })).toBeTruthy()
  })

  test('asks before it records, and offers the transcript with it', async () => {
    const { show, flow } = fakeCall()
    show(bar())
    await userEvent.click(screen.getByRole('button', { name: 'Plus de commandes' }))
    await userEvent.click(await screen.findByRole('menuitem', { name: /Enregistrer la réunion/ }))
    expect((await screen.findByRole('dialog')).textContent).toContain('devra donner son accord')
    await userEvent.click(screen.getByRole('button', { name: 'Enregistrer' }))
    expect(flow.startCapture).toHaveBeenCalledWith(['recording', 'transcription'])
  })

  test('offers no recording to those who may not', async () => {
    const { show } = fakeCall({ capture: false })
    show(bar())
    await userEvent.click(screen.getByRole('button', { name: 'Plus de commandes' }))
    await screen.findByRole('menuitem', { name: /Raccourcis/ })
    expect(screen.queryByRole('menuitem', { name: /Enregistrer/ })).toBeNull()
  })

  test('lists the shortcuts on F1', async () => {
    const { show } = fakeCall()
    show(bar())
    await userEvent.keyboard('{F1}')
    expect((await screen.findByRole('dialog', { name: 'Raccourcis clavier' })).textContent).toContain('Couper ou activer le micro')
  })

  test.each(THEMES)('has no accessibility fault in the %s theme', async (theme) => {
    const { show } = fakeCall()
    const { container } = show(bar({ panel: 'chat' }), theme)
    expect(await faults(container)).toEqual([])
  })
})
