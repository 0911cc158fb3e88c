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
  const whole: Summary = { seconds: 2520, captured: [], kept: [], problem: null, ...summary }
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

test('whoever agreed can still have their part removed, and is asked once more', async () => {
  const { flow } = show({ captured: ['recording'], kept: ['recording'] })
  await userEvent.click(await screen.findByRole('button', { name: 'Retirer ma partie…' }))
  expect(document.activeElement?.textContent).toBe('Garder')
  await userEvent.click(screen.getByRole('button', { name: 'Garder' }))
  expect(flow.removeEarlier).not.toHaveBeenCalled()
  await userEvent.click(screen.getByRole('button', { name: 'Retirer ma partie…' }))
  await userEvent.click(screen.getByRole('button', { name: 'Retirer' }))
  expect(flow.removeEarlier).toHaveBeenCalledWith(['recording'])
  expect(await screen.findByText('Ce qui avait été gardé de vous est retiré.')).toBeTruthy()
})

test('whoever agreed to nothing is offered nothing of the kind', () => {
  show({ captured: ['recording'] })
  expect(screen.queryByRole('button', { name: /Retirer/ })).toBeNull()
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
