/**
 * Who is in the call and what of them is to be seen, over all connections: a store, without React.
 *
 * By link the people are the relay's participants. Inside a Matrix client they are the members that the room names,
 * on whichever focus they publish; a connection that no member event stands for is nobody, unless the server vouches
 * for it. What each person is, `peopleOf` decides, purely.
 */
import type { Participant, Room, TrackPublication } from 'livekit-client'
import { RoomEvent, Track } from 'livekit-client'
import { createStore } from 'zustand/vanilla'
import type { Member } from '../rtc/members'
import type { RtcStay } from '../rtc/stay'
import { localpart } from './capture'
import type { KeyStates } from './keyWatch'

/**
 * `media`: in the room's list, but not on any relay that we hear · `elsewhere`: on a relay that we may not hear ·
 * `keys`: heard, but we can't decrypt it yet.
 */
export type Waiting = 'media' | 'elsewhere' | 'keys' | null

export interface Person {
  identity: string
  name: string
  /** Null while they are in the room's list alone. */
  participant: Participant | null
  isLocal: boolean
  waiting: Waiting
  /** The service itself, while it records: everybody is to see it, and nobody to wait for its camera. */
  recorder: boolean
  since: number // ms since the epoch
}

/** Somebody's camera or screen, as livekit's components take it. */
export interface Picture {
  person: Person
  participant: Participant
  publication: TrackPublication
  source: Track.Source
}

export interface RosterState {
  people: readonly Person[]
  /** Shared screens of others, the latest last. */
  screens: readonly Picture[]
}

/** What the Matrix room says, while we are announced in it. */
export interface RoomView {
  endToEnd: boolean
  members: readonly Member[]
  keys: KeyStates
  nameOf(userId: string): string | null
  /** The relay that this connection is to. */
  focusOf(participant: Participant): string
  reaches(focus: string): boolean
}

const CHANGES = [
  RoomEvent.Connected,
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.ParticipantNameChanged,
  RoomEvent.ParticipantAttributesChanged,
  RoomEvent.TrackPublished,
  RoomEvent.TrackUnpublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
  RoomEvent.LocalTrackPublished,
  RoomEvent.LocalTrackUnpublished,
  RoomEvent.Reconnected,
] as const

export type Roster = ReturnType<typeof makeRoster>

export function makeRoster(room: Room, stay: RtcStay | null) {
  let watched: readonly Room[] = []
  const elsewhere = () => (stay?.rooms.getState().rooms ?? []).map((one) => one.room)
  const look = (): RosterState => {
    const heard = [room, ...elsewhere()].flatMap(participantsOf)
    const people = peopleOf(heard, stay === null ? null : viewOf(stay))
    return { people, screens: screensOf(people) }
  }
  const store = createStore<RosterState>(look)
  const refresh = () => store.setState(look(), true)
  const watch = () => {
    const rooms = [room, ...elsewhere()]
    for (const gone of watched.filter((one) => !rooms.includes(one))) for (const event of CHANGES) gone.off(event, refresh)
    for (const fresh of rooms.filter((one) => !watched.includes(one))) for (const event of CHANGES) fresh.on(event, refresh)
    watched = rooms
    refresh()
  }
  return {
    store,
    /** Returns how to stop. */
    follow(): () => void {
      watch()
      const stops = stay === null ? [] : [stay.rooms.subscribe(watch), stay.members.subscribe(refresh), stay.keyStates.subscribe(refresh)]
      return () => {
        for (const stop of stops) stop()
        for (const one of watched) for (const event of CHANGES) one.off(event, refresh)
        watched = []
      }
    },
  }
}

function viewOf(stay: RtcStay): RoomView {
  const { endToEnd, nameOf, reaches } = stay
  const there = new Map(stay.rooms.getState().rooms.flatMap(({ focus, room }) => participantsOf(room, 1).map((one) => [one, focus])))
  const focusOf = (participant: Participant) => there.get(participant) ?? stay.focus
  return { endToEnd, nameOf, reaches, focusOf, members: stay.members.getState().members, keys: stay.keyStates.getState() }
}

/** On another focus we are listed too, as the one who listens there: that is not another person. */
function participantsOf(room: Room, index: number): Participant[] {
  const others = [...room.remoteParticipants.values()]
  return index === 0 ? [room.localParticipant, ...others] : others
}

/** Ourselves first, then in the order in which they came. */
export function peopleOf(participants: readonly Participant[], view: RoomView | null): Person[] {
  const people = view === null ? participants.filter(isSomebody).map((one) => personOf(one, null, null)) : membersOf(participants, view)
  return people.toSorted((a, b) => Number(b.isLocal) - Number(a.isLocal) || a.since - b.since)
}

function membersOf(participants: readonly Participant[], view: RoomView): Person[] {
  const people: Person[] = []
  const named = new Set<string>()
  for (const member of view.members) {
    const participant = participants.find((one) => stands(one, member, view)) ?? null
    named.add(member.identity)
    people.push(personOf(participant, member, view))
  }
  for (const participant of participants) {
    if (named.has(participant.identity)) continue
    // End-to-end, who isn't a member has no keys and can be neither seen nor heard.
    const known = participant.isLocal || isRecorder(participant) || (!view.endToEnd && vouchedFor(participant))
    if (known) people.push(personOf(participant, null, view))
  }
  return people
}

/** Who publishes on another focus is on ours too, under the same name, to listen: there is nothing of them to be had there. */
function stands(participant: Participant, member: Member, view: RoomView): boolean {
  if (participant.identity !== member.identity) return false
  return participant.isLocal || member.focus === null || view.focusOf(participant) === member.focus
}

function personOf(participant: Participant | null, member: Member | null, view: RoomView | null): Person {
  const identity = member?.identity ?? participant?.identity ?? ''
  const name = (member === null ? null : view?.nameOf(member.userId)) || participant?.name || localpart(member?.userId ?? identity)
  return {
    identity,
    name,
    participant,
    isLocal: participant?.isLocal ?? false,
    waiting: waitingOf(participant, member, view),
    recorder: participant !== null && isRecorder(participant),
    since: member?.createdAt ?? participant?.joinedAt?.getTime() ?? 0,
  }
}

function waitingOf(participant: Participant | null, member: Member | null, view: RoomView | null): Waiting {
  if (participant === null) return member?.focus != null && view?.reaches(member.focus) === false ? 'elsewhere' : 'media'
  if (view?.endToEnd !== true || participant.isLocal || isRecorder(participant)) return null
  const sends = [...participant.trackPublications.values()].some(({ isMuted }) => !isMuted)
  const { held, failing } = view.keys
  return sends && (!held.has(participant.identity) || failing.has(participant.identity)) ? 'keys' : null
}

/** Set by the server alone. */
function isRecorder({ attributes }: Participant): boolean {
  return (attributes['palabre.recorder'] ?? '') !== ''
}

function vouchedFor({ attributes }: Participant): boolean {
  return 'palabre.user' in attributes || 'palabre.guest' in attributes
}

/** Element Call connects for a moment under another name before it comes in: a participant without name or media. */
function isSomebody(participant: Participant): boolean {
  if (participant.isLocal || participant.name || vouchedFor(participant) || isRecorder(participant)) return true
  return participant.trackPublications.size > 0 || participant.identity.startsWith('@')
}

/** One's own screen is not shown: it would be a hall of mirrors. The banner says that it is shared. */
function screensOf(people: readonly Person[]): Picture[] {
  return people.flatMap((person) => {
    const screen = person.isLocal ? null : pictureOf(person, Track.Source.ScreenShare)
    return screen === null ? [] : [screen]
  })
}

export function pictureOf(person: Person, source: Track.Source): Picture | null {
  const publication = person.participant?.getTrackPublication(source)
  if (person.participant === null || publication === undefined) return null
  return { person, participant: person.participant, publication, source }
}
