import { act, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, test, vi } from 'vitest'
import { createStore } from 'zustand/vanilla'
import { ApiError } from '../../app/api'
import { live } from '../../app/live'
import { fakeCall, fakeFlow, faults, THEMES } from '../../test/render'
import { useCall } from '../call/context'
import { useNews } from '../call/useNews'
import { Earlier } from '../earlier/Earlier'
import { CaptureChips } from './CaptureChips'
import { ConsentBanner } from './ConsentBanner'

function Whole() {
  useNews(useCall())
  return (
    <>
      <CaptureChips />
      <ConsentBanner />
      <Earlier />
    </>
  )
}

const RUNNING = { by: '@bruno:example.org', since: 1_800_000_000 }
const BOTH = { recording: RUNNING, transcription: RUNNING }

describe('the consent banner', () => {
  test('asks nothing while nothing is captured', () => {
    const { show } = fakeCall()
    expect(show(<ConsentBanner />).container.textContent).toBe('')
  })

  test('asks for both at once, naming who wants it, and says it aloud', async () => {
    const { show, tell } = fakeCall()
    show(<ConsentBanner />)
    act(() => tell(BOTH, { recording: 'asked', transcription: 'asked' }))
    expect(screen.getByRole('region', { name: 'bruno souhaite enregistrer et transcrire la réunion.' })).toBeTruthy()
    await expect.poll(() => live.getState().urgent).toContain('Appuyez sur F6 pour répondre.')
  })

  test('yes is sent for what was asked, and the question is gone at once', async () => {
    const { show, tell, flow } = fakeCall()
    show(<ConsentBanner />)
    act(() => tell(BOTH, { recording: 'yes', transcription: 'asked' }))
    await userEvent.click(screen.getByRole('button', { name: 'J’accepte' }))
    expect(flow.answerConsent).toHaveBeenCalledWith(['transcription'], 'yes')
    expect(screen.queryByRole('button')).toBeNull()
  })

  test('an answer that does not arrive is asked again, with the reason', async () => {
    const { show, tell, flow } = fakeCall()
    show(<ConsentBanner />)
    act(() => tell(BOTH, { recording: 'asked', transcription: 'asked' }))
    ;(flow.answerConsent as unknown as { mockRejectedValue(error: Error): void }).mockRejectedValue(new ApiError('unreachable', 0))
    await userEvent.click(screen.getByRole('button', { name: 'Je refuse' }))
    expect((await screen.findByRole('alert')).textContent).toContain('Le serveur ne répond pas')
    expect(screen.getByRole('button', { name: 'Je refuse' })).toBeTruthy()
  })

  test('end-to-end, a yes is shown as on its way until the server confirms it, and asked again when it does not', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true })
    const { show, tell } = fakeCall({}, { endToEnd: true, members: createStore(() => ({ members: [] })), rooms: createStore(() => ({ rooms: [] })), keyStates: createStore(() => new Map()) } as never)
    show(<ConsentBanner />)
    act(() => tell(BOTH, { recording: 'asked', transcription: 'yes' }))
    await userEvent.click(screen.getByRole('button', { name: 'J’accepte' }))
    expect(screen.getByRole('region', { name: /Votre réponse est en route/ })).toBeTruthy()
    await act(async () => await vi.advanceTimersByTimeAsync(20_000))
    expect((await screen.findByRole('alert')).textContent).toContain('confirmée')
    act(() => tell(BOTH, { recording: 'yes', transcription: 'yes' }))
    expect(screen.queryByRole('region')).toBeNull()
    vi.useRealTimers()
  })

  test.each(THEMES)('has no accessibility fault in the %s theme', async (theme) => {
    const { show, tell } = fakeCall()
    const { container } = show(<ConsentBanner />, theme)
    act(() => tell(BOTH, { recording: 'asked', transcription: 'asked' }))
    expect(await faults(container)).toEqual([])
  })
})

describe('the chip of a capture', () => {
  test('explains itself, and asks whoever takes their consent back what becomes of the earlier part', async () => {
    const { show, tell, flow } = fakeCall()
    const { container } = show(<Whole />)
    act(() => tell({ recording: RUNNING }, { recording: 'yes' }))
    await userEvent.click(screen.getByRole('button', { name: 'Enregistrement' }))
    const dialog = await screen.findByRole('dialog', { name: 'La réunion est enregistrée' })
    expect(dialog.textContent).toContain('Vous avez accepté.')
    await userEvent.click(screen.getByRole('button', { name: 'Retirer mon accord' }))
    expect(flow.answerConsent).toHaveBeenCalledWith(['recording'], 'no')
    expect(screen.queryByRole('region')).toBeNull() // not before the server has confirmed it

    act(() => tell({ recording: RUNNING }, { recording: 'no' }))
    const question = await screen.findByRole('region', { name: 'Que faire de ce qui a déjà été enregistré de vous\u202f?' })
    expect(question.textContent).toContain('Gardé, cela reste dans ce qui est publié. Retiré, cela n’y sera pas, définitivement.')
    expect(question.textContent).toMatch(/jusqu’à 1\sheure après sa fin, ici ou en écrivant «\s!visio forget\s»/)
    await expect.poll(() => live.getState().urgent).toContain('Appuyez sur F6 pour répondre.')
    expect(await faults(container)).toEqual([])
    await userEvent.click(screen.getByRole('button', { name: 'Retirer' }))
    expect(flow.removeEarlier).toHaveBeenCalledWith(['recording'])
    await expect.poll(() => screen.queryByRole('region')).toBeNull()
    expect(live.getState().notices.at(-1)?.text).toBe('Ce qui avait été gardé de vous est retiré.')
  })

  test('offers to change one’s mind while the earlier part is kept, and says why it cannot be removed', async () => {
    const { show, tell, flow } = fakeCall()
    show(<Whole />)
    act(() => tell({ recording: RUNNING }, { recording: 'yes' }))
    await userEvent.click(screen.getByRole('button', { name: 'Enregistrement' }))
    await userEvent.click(await screen.findByRole('button', { name: 'Retirer mon accord' }))
    act(() => tell({ recording: RUNNING }, { recording: 'no' }))
    await userEvent.click(await screen.findByRole('button', { name: 'Garder' }))
    expect(screen.queryByRole('region')).toBeNull()
    expect(flow.removeEarlier).not.toHaveBeenCalled()

    await userEvent.click(screen.getByRole('button', { name: 'Enregistrement' }))
    expect((await screen.findByRole('dialog')).textContent).toContain('La partie d’avant est gardée.')
    await userEvent.click(screen.getByRole('button', { name: 'Changer d’avis…' }))
    vi.mocked(flow.removeEarlier).mockRejectedValue(new ApiError('forget_too_late', 409))
    await userEvent.click(await screen.findByRole('button', { name: 'Retirer' }))
    expect((await screen.findByRole('alert')).textContent).toContain('ne peut plus être refait sans vous')
    expect(screen.getByRole('button', { name: 'Garder' })).toBeTruthy()
  })

  test('still offers it to whoever left and came back', async () => {
    const flow = fakeFlow()
    flow.noteCapture('c1', { recording: RUNNING, transcription: null }, ['recording'])
    const { show, tell } = fakeCall({}, null, flow)
    show(<Whole />)
    act(() => tell({ recording: RUNNING }, { recording: 'no' }))
    await userEvent.click(screen.getByRole('button', { name: 'Enregistrement' }))
    await userEvent.click(await screen.findByRole('button', { name: 'Changer d’avis…' }))
    await userEvent.click(await screen.findByRole('button', { name: 'Retirer' }))
    expect(flow.removeEarlier).toHaveBeenCalledWith(['recording'])
  })

  test('a withdrawal that does not arrive is told, and nothing is asked', async () => {
    const { show, tell, flow } = fakeCall()
    show(<Whole />)
    act(() => tell({ recording: RUNNING }, { recording: 'yes' }))
    vi.mocked(flow.answerConsent).mockRejectedValue(new ApiError('unreachable', 0))
    await userEvent.click(screen.getByRole('button', { name: 'Enregistrement' }))
    await userEvent.click(await screen.findByRole('button', { name: 'Retirer mon accord' }))
    await expect.poll(() => live.getState().notices.at(-1)?.text).toContain('Le serveur ne répond pas')
    expect(screen.queryByRole('region')).toBeNull()
  })

  test('offers stopping only to those who may', async () => {
    const { show, tell } = fakeCall({ capture: false })
    show(<CaptureChips />)
    act(() => tell({ transcription: RUNNING }, { transcription: 'no' }))
    await userEvent.click(screen.getByRole('button', { name: 'Transcription' }))
    await screen.findByRole('dialog')
    expect(screen.queryByRole('button', { name: 'Arrêter la transcription' })).toBeNull()
  })
})
