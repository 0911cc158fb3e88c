import type { Participant } from 'livekit-client'
import { Track } from 'livekit-client'
import { describe, expect, test } from 'vitest'
import type { Member } from '../rtc/members'
import type { RoomView } from './roster'
import { peopleOf } from './roster'

interface Sketch {
  name?: string
  local?: boolean
  attributes?: Record<string, string>
  tracks?: ('on' | 'muted')[]
  at?: number
}

function participant(identity: string, { name = '', local = false, attributes = {}, tracks = [], at = 0 }: Sketch = {}): Participant {
  const publications = tracks.map((state, index) => [`t${index}`, { isMuted: state === 'muted', source: Track.Source.Camera }] as const)
  return { identity, name, isLocal: local, attributes, trackPublications: new Map(publications), joinedAt: new Date(at) } as unknown as Participant
}

const member = (user: string, device: string, parts: Partial<Member> = {}): Member => ({
  userId: user, deviceId: device, identity: `${user}:${device}`, focus: 'https://ours', createdAt: 1, expiresAt: null, ...parts,
})

function view(members: Member[], parts: Partial<RoomView> = {}): RoomView {
  const names = new Map([['@ana:e', 'Ana Pereira'], ['@bruno:e', 'Bruno Lefèvre']])
  return {
    endToEnd: true, members, keys: { held: new Set(), failing: new Set() },
    nameOf: (user) => names.get(user) ?? null, focusOf: () => 'https://ours', reaches: (focus) => focus === 'https://ours', ...parts,
  }
}

const ME = participant('@ana:e:A', { local: true })
const tell = (people: ReturnType<typeof peopleOf>) => people.map(({ name, waiting }) => (waiting === null ? name : `${name}: ${waiting}`))

describe('by link', () => {
  test('people are who is on the relay, oneself first, then as they came', () => {
    const people = peopleOf([participant('c', { name: 'Chloé', at: 2 }), participant('b', { name: 'Bruno', at: 1 }), participant('a', { name: 'Ana', local: true, at: 9 })], null)
    expect(tell(people)).toEqual(['Ana', 'Bruno', 'Chloé'])
  })

  test('somebody in Element Call, who has no name there, is told by their Matrix id', () => {
    expect(tell(peopleOf([participant('@bruno:e:DEVICE')], null))).toEqual(['bruno'])
  })

  test('the moment’s connection that Element Call makes under a hash is nobody', () => {
    expect(peopleOf([participant('MHOXzrayssP89umAUL61y/dNBwgBu2a4ij66rIincSw')], null)).toEqual([])
  })
})

describe('inside a Matrix client', () => {
  test('people are who the room names, with the names that the room has for them', () => {
    const bruno = participant('@bruno:e:B', { name: 'Somebody else' })
    expect(tell(peopleOf([ME, bruno], view([member('@ana:e', 'A'), member('@bruno:e', 'B')])))).toEqual(['Ana Pereira', 'Bruno Lefèvre'])
  })

  test('a member without media is waited for, and one on a relay that is not allowed is told so', () => {
    const members = [member('@ana:e', 'A'), member('@bruno:e', 'B'), member('@chloe:f', 'C', { focus: 'https://theirs' })]
    expect(tell(peopleOf([ME], view(members)))).toEqual(['Ana Pereira', 'Bruno Lefèvre: media', 'chloe: elsewhere'])
  })

  test('who publishes on another relay is seen from there, not as the one who listens on ours', () => {
    const here = participant('@bruno:e:B')
    const there = participant('@bruno:e:B', { tracks: ['on'] })
    const members = [member('@ana:e', 'A'), member('@bruno:e', 'B', { focus: 'https://theirs' })]
    const parts: Partial<RoomView> = {
      endToEnd: false, reaches: () => true, focusOf: (one) => (one === there ? 'https://theirs' : 'https://ours'),
    }
    expect(peopleOf([ME, here, there], view(members, parts))[1]?.participant).toBe(there)
    expect(tell(peopleOf([ME, here], view(members, parts)))).toEqual(['Ana Pereira', 'Bruno Lefèvre: media'])
  })

  test('who sends media waits for keys until they come, and again when they don’t fit', () => {
    const bruno = participant('@bruno:e:B', { tracks: ['on'] })
    const members = [member('@ana:e', 'A'), member('@bruno:e', 'B')]
    const held = new Set(['@bruno:e:B'])
    expect(tell(peopleOf([ME, bruno], view(members)))[1]).toBe('Bruno Lefèvre: keys')
    expect(tell(peopleOf([ME, bruno], view(members, { keys: { held, failing: new Set() } })))[1]).toBe('Bruno Lefèvre')
    expect(tell(peopleOf([ME, bruno], view(members, { keys: { held, failing: held } })))[1]).toBe('Bruno Lefèvre: keys')
  })

  test('who sends nothing is not waited for', () => {
    const members = [member('@ana:e', 'A'), member('@bruno:e', 'B')]
    expect(tell(peopleOf([ME, participant('@bruno:e:B', { tracks: ['muted'] })], view(members)))[1]).toBe('Bruno Lefèvre')
  })

  test('a connection that no member stands for is nobody in an end-to-end call, whatever it calls itself', () => {
    const stranger = participant('x', { name: 'Eve', attributes: { 'palabre.user': '@eve:e' }, tracks: ['on'] })
    expect(tell(peopleOf([ME, stranger], view([member('@ana:e', 'A')])))).toEqual(['Ana Pereira'])
  })

  test('in a call to the server, people by link are there too, if the server vouches for them', () => {
    const guest = participant('guest:g/t', { name: 'Greta', attributes: { 'palabre.guest': '1' } })
    const ghost = participant('hash', { tracks: [] })
    expect(tell(peopleOf([ME, guest, ghost], view([member('@ana:e', 'A')], { endToEnd: false })))).toEqual(['Ana Pereira', 'Greta'])
  })

  test('the recorder is shown as one, member or not', () => {
    const recorder = participant('@bot:e:R', { name: 'Palabre', attributes: { 'palabre.recorder': '1' } })
    const people = peopleOf([ME, recorder], view([member('@ana:e', 'A')]))
    expect(people.map(({ recorder: is }) => is)).toEqual([false, true])
    expect(peopleOf([ME, recorder], view([member('@ana:e', 'A'), member('@bot:e', 'R')]))).toMatchObject([{}, { recorder: true, waiting: null }])
  })
})
