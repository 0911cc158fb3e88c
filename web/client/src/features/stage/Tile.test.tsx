import { screen } from '@testing-library/react'
import { expect, test } from 'vitest'
import type { Person } from '../../call/roster'
import { fakeCall, faults, THEMES } from '../../test/render'
import { PersonTile } from './Tile'

const absent: Person = { identity: '@b:e:B', name: 'Bruno Lefèvre', participant: null, isLocal: false, waiting: 'media', recorder: false, since: 0 }

test('a member without media is a tile that says so', () => {
  fakeCall().show(<PersonTile person={absent} />)
  expect(screen.getByRole('article', { name: 'Bruno Lefèvre, son et image en attente' })).toBeTruthy()
})

test('a member on a relay that is not allowed is told apart', () => {
  fakeCall().show(<PersonTile person={{ ...absent, waiting: 'elsewhere' }} />)
  expect(screen.getByRole('article', { name: 'Bruno Lefèvre, sur un serveur non autorisé ici' })).toBeTruthy()
})

test('somebody whose keys have not come is a tile that says so, and no black picture', () => {
  const { show, room } = fakeCall()
  const { container } = show(<PersonTile person={{ ...absent, participant: room.localParticipant, waiting: 'keys' }} />)
  expect(screen.getByRole('article', { name: 'Bruno Lefèvre, micro coupé, en attente des clés' })).toBeTruthy()
  expect(container.querySelector('video')).toBeNull()
  expect(container.textContent).toContain('en attente des clés')
})

test.each(THEMES)('has no accessibility fault in the %s theme', async (theme) => {
  const { container } = fakeCall().show(<PersonTile person={absent} />, theme)
  expect(await faults(container)).toEqual([])
})
