import { render, screen } from '@testing-library/react'
import { Suspense } from 'react'
import { expect, test, vi } from 'vitest'
import { live } from '../../app/live'
import { fetched } from './fetched'

vi.mock('./parts', () => {
  throw new Error('a new release has other files')
})

test('a part that cannot be fetched closes again and says what to do, and the rest of the page stays', async () => {
  const Part = fetched('ShortcutsDialog')
  const onClose = vi.fn()
  render(
    <Suspense>
      <Part onClose={onClose} />
      <p>La réunion continue</p>
    </Suspense>,
  )
  await expect.poll(() => onClose).toHaveBeenCalledOnce()
  expect(live.getState().notices.at(-1)?.text).toContain('Rechargez-la')
  expect(screen.getByText('La réunion continue')).toBeTruthy()
})
