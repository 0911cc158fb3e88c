import { render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, test } from 'vitest'
import type { Meeting } from '../../app/api'
import { FlowContext } from '../../app/context'
import { NOTHING } from '../../call/capture'
import { DEFAULT_DEVICES } from '../../call/devices'
import type { Preview } from '../../call/preview'
import { preview } from '../../call/preview'
import { fakeFlow, faults, THEMES } from '../../test/render'
import { troubles } from './MediaHelp'
import { PreJoin } from './PreJoin'

const MEETING: Meeting = { id: 'm1', title: 'Comité de pilotage', mode: 'server', roomEncrypted: true, call: null, capture: NOTHING }

/** A browser that refuses (`error`) or has silent devices. */
function devices(error: string | null): Preview {
  const track = () => Object.assign(new EventTarget(), { stop: () => undefined, readyState: 'live' })
  const media = {
    getUserMedia: async () => {
      if (error !== null) throw new DOMException('', error)
      return { getAudioTracks: () => [track()], getVideoTracks: () => [track()] }
    },
    enumerateDevices: async () => [{ kind: 'audioinput', deviceId: 'm', label: 'Micro intégré' }],
  }
  return preview({ microphone: true, camera: true, devices: DEFAULT_DEVICES }, media as unknown as MediaDevices)
}

function show(over: Partial<Parameters<typeof PreJoin>[0]> = {}, error: string | null = null) {
  const flow = fakeFlow()
  const shown = devices(error)
  const { container, unmount } = render(
    <FlowContext.Provider value={flow}>
      <PreJoin meeting={MEETING} person="Ana Pereira" problem={null} makeStore={() => shown} {...over} />
    </FlowContext.Provider>,
  )
  return { flow, container, unmount }
}

describe('before the call', () => {
  test('one sees the meeting, one’s name and who is there', async () => {
    show({ meeting: { ...MEETING, call: { startedAt: 1, participants: ['Bruno', 'Chloé'] } } })
    expect(screen.getByRole('heading', { level: 1, name: 'Comité de pilotage' })).toBeTruthy()
    expect(screen.getByText('Ana Pereira', { selector: 'strong' })).toBeTruthy()
    expect(screen.getByText(/2 personnes sont déjà là/).textContent).toContain('Bruno et Chloé')
    await screen.findByRole('button', { name: 'Rejoindre la réunion' })
  })

  test('a crowd is a number', () => {
    show({ meeting: { ...MEETING, call: { startedAt: 1, participants: ['A', 'B', 'C', 'D', 'E'] } } })
    expect(screen.getByText(/5 personnes/).textContent).toContain('A, B, C et 2 autres personnes')
  })

  test('joining hands over the running devices', async () => {
    const { flow } = show()
    await userEvent.click(await screen.findByRole('button', { name: 'Rejoindre la réunion' }))
    expect(flow.join).toHaveBeenCalledWith({ microphone: expect.anything(), camera: expect.anything() }, expect.anything())
  })

  test('refused devices are explained once, and one may come in without', async () => {
    const { flow } = show({}, 'NotAllowedError')
    const way = await screen.findByRole('button', { name: 'Rejoindre sans micro ni caméra' })
    expect(screen.getByText('Votre micro et votre caméra ne sont pas accessibles.')).toBeTruthy()
    expect(screen.getByRole('button', { name: 'Réessayer' })).toBeTruthy()
    await userEvent.click(way)
    expect(flow.join).toHaveBeenCalledWith({ microphone: null, camera: null }, expect.anything())
  })

  test('the camera is switched off by button and by shortcut', async () => {
    show()
    await screen.findByRole('button', { name: 'Couper la caméra' })
    await userEvent.keyboard('{Control>}e{/Control}')
    await userEvent.click(await screen.findByRole('button', { name: 'Caméra coupée, activer' }))
    expect(await screen.findByRole('button', { name: 'Couper la caméra' })).toBeTruthy()
  })

  test('a running recording is announced before one comes in', () => {
    show({ meeting: { ...MEETING, capture: { recording: { by: 'x', since: 1 }, transcription: { by: 'x', since: 1 } } } })
    expect(screen.getByText('Cette réunion est enregistrée et transcrite.')).toBeTruthy()
  })

  test('a refusal is told in words', () => {
    show({ problem: { code: 'call_forbidden' } })
    expect(screen.getByRole('alert').textContent).toContain('plus de droits')
  })

  test.each(THEMES)('has no accessibility fault in the %s theme', async (theme) => {
    document.documentElement.dataset.theme = theme
    const { container, unmount } = show()
    await screen.findByRole('button', { name: 'Rejoindre la réunion' })
    expect(await faults(container)).toEqual([])
    unmount()
    const refused = show({}, 'NotAllowedError')
    await screen.findByRole('button', { name: 'Rejoindre sans micro ni caméra' })
    expect(await faults(refused.container)).toEqual([])
  })
})

test('different troubles are told apart', () => {
  expect(troubles('denied', 'denied')).toMatchObject([{ what: 'both' }])
  expect(troubles('denied', 'missing')).toMatchObject([{ what: 'microphone' }, { what: 'camera' }])
  expect(troubles(null, null)).toEqual([])
})
