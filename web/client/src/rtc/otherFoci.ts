/**
 * Connections to the foci of members who publish elsewhere than we do: we only listen there.
 *
 * Each focus is asked for a pass with a token of the person's homeserver, as ours is. One that fails is asked again,
 * with growing pauses, for as long as somebody is on it; one that nobody is on any more is left a little later.
 */
import { Room, RoomEvent } from 'livekit-client'
import { createStore } from 'zustand/vanilla'
import type { OpenId } from '../app/api'
import { connectOptions } from '../call/options'
import type { OwnDevice } from './events'
import { focusPass } from './focus'
import type { Member } from './members'

export interface FociParts {
  own: OwnDevice
  ownFocus: string
  reaches: (focus: string) => boolean
  openId: () => Promise<OpenId>
  /** A room that is ready to connect, with what must be done before and after. */
  makeRoom: () => { room: Room; prepare: () => Promise<void>; dispose: () => void }
  pause?: (ms: number) => Promise<void>
}

/** A connection that stands, and the focus that it leads to. */
export interface Elsewhere {
  focus: string
  room: Room
}

interface Connection {
  stopped: boolean
  room: Room | null
  end: () => void
}

const FIRST_PAUSE = 1_000 // ms; people arrive before their focus has opened its room
const LONGEST_PAUSE = 30_000 // ms
/** A member who reloads is gone for a moment. */
const LINGER = 10_000 // ms

export class OtherFoci {
  readonly store = createStore<{ rooms: readonly Elsewhere[] }>(() => ({ rooms: [] }))
  private readonly connections = new Map<string, Connection>()
  private readonly leaving = new Map<string, ReturnType<typeof setTimeout>>()

  constructor(private readonly parts: FociParts) {}

  /** Who is in the call has changed. */
  follow(members: readonly Member[]): void {
    const wanted = new Set(otherFoci(members, this.parts.ownFocus).filter(this.parts.reaches))
    for (const focus of wanted) {
      clearTimeout(this.leaving.get(focus))
      this.leaving.delete(focus)
      if (!this.connections.has(focus)) this.open(focus)
    }
    for (const focus of this.connections.keys()) {
      if (!wanted.has(focus) && !this.leaving.has(focus)) this.leaving.set(focus, setTimeout(() => this.close(focus), LINGER))
    }
  }

  stop(): void {
    for (const focus of this.connections.keys()) this.close(focus)
  }

  private open(focus: string): void {
    const connection: Connection = { stopped: false, room: null, end: () => undefined }
    this.connections.set(focus, connection)
    void this.keepConnected(focus, connection)
  }

  private close(focus: string): void {
    const connection = this.connections.get(focus)
    this.connections.delete(focus)
    clearTimeout(this.leaving.get(focus))
    this.leaving.delete(focus)
    if (connection === undefined) return
    connection.stopped = true
    connection.end()
    void connection.room?.disconnect()
  }

  private async keepConnected(focus: string, connection: Connection): Promise<void> {
    const pause = this.parts.pause ?? ((ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)))
    let wait = FIRST_PAUSE
    while (!connection.stopped) {
      if (await this.stay(focus, connection)) wait = FIRST_PAUSE
      if (connection.stopped) return
      await pause(wait)
      wait = Math.min(wait * 2, LONGEST_PAUSE)
    }
  }

  /** One connection from its beginning to its end; whether it ever stood. */
  private async stay(focus: string, connection: Connection): Promise<boolean> {
    const { room, prepare, dispose } = this.parts.makeRoom()
    const ended = new Promise<void>((resolve) => {
      connection.end = resolve
      room.on(RoomEvent.Disconnected, () => resolve())
    })
    try {
      const pass = await focusPass(focus, await this.parts.openId(), this.parts.own)
      await prepare()
      if (connection.stopped) return false
      connection.room = room
      await room.connect(pass.url, pass.jwt, connectOptions)
      this.store.setState(({ rooms }) => ({ rooms: [...rooms, { focus, room }] }))
      await ended
      return true
    } catch {
      return false // Told by the members' tiles: they wait for media.
    } finally {
      connection.room = null
      this.store.setState(({ rooms }) => ({ rooms: rooms.filter((other) => other.room !== room) }))
      dispose()
    }
  }
}

/** Addresses of foci other than ours that somebody publishes on, each once. */
export function otherFoci(members: readonly Member[], ownFocus: string): string[] {
  return [...new Set(members.flatMap(({ focus }) => (focus === null || focus === ownFocus ? [] : [focus])))]
}

/**
 * Member events are written by others, and whoever runs a focus is shown a token of the person's: only those that the
 * service lists are asked. `https:` lists all.
 */
export function mayReach(focus: string, listed: readonly string[]): boolean {
  try {
    const { origin, protocol } = new URL(focus)
    return listed.includes(origin) || (protocol === 'https:' && listed.includes('https:'))
  } catch {
    return false
  }
}
