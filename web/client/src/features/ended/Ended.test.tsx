import { render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { FlowContext } from '../../app/context'
import type { Summary } from '../../app/screens'
import { NOTHING } from '../../call/capture'
import { fakeFlow, faults, THEMES } from '../../test/render'
import { ProblemPage } from '../problem/ProblemPage'
import { Ended } from './Ended'

const MEETING = { id: 'm1', title: 'Budget', mode: 'server', roomEncrypted: true, call: null, capture: NOTHING }

function show(summary: Partial<Summary> = {}) {
  const flow = fakeFlow()
  const whole: Summary = { seconds: 2520, captured: [], problem: null, ...summary }
  return { flow, ...render(<FlowContext.Provider value={flow}><Ended meeting={MEETING} summary={whole} /></FlowContext.Provider>) }
}

test('says how long it was and that nothing was recorded', async () => {
  const { flow } = show()
  expect(screen.getByText(/42 minutes/)).toBeTruthy()
  expect(screen.getByText('Rien n’a été enregistré pendant votre présence.')).toBeTruthy()
  await userEvent.click(screen.getByRole('button', { name: 'Revenir dans la réunion' }))
  expect(flow.back).toHaveBeenCalledOnce()
})

test('says where the recording and the transcript will be', () => {
  show({ captured: ['recording', 'transcription'] })
  expect(screen.getByText(/L’enregistrement et la transcription seront publiés/)).toBeTruthy()
})

test('somebody who was removed reads why, and is offered no way straight back', () => {
  show({ problem: { code: 'removed' } })
  expect(screen.getByRole('heading', { level: 1 }).textContent).toBe('Vous ne faites plus partie de la réunion')
  expect(screen.queryByRole('button', { name: 'Revenir dans la réunion' })).toBeNull()
  expect(screen.getByText('removed')).toBeTruthy()
})

test('a problem page offers to try again and shows its code', async () => {
  const flow = fakeFlow()
  render(<FlowContext.Provider value={flow}><ProblemPage problem={{ code: 'server_not_allowed', params: { server: 'evil.example' } }} /></FlowContext.Provider>)
  expect(screen.getByRole('alert').textContent).toContain('evil.example')
  expect(screen.queryByRole('button', { name: 'Réessayer' })).toBeNull()
})

test.each(THEMES)('has no accessibility fault in the %s theme', async (theme) => {
  document.documentElement.dataset.theme = theme
  expect(await faults(show({ captured: ['recording'], problem: { code: 'connection_lost' } }).container)).toEqual([])
})
