/** Messages among those present: LiveKit text streams on `lk.chat`. Kept in memory for the length of the call. */
import type { Room, TextStreamReader } from 'livekit-client'
import { createStore } from 'zustand/vanilla'

export const TOPIC = 'lk.chat'

/** Ten screens of text; longer is a file, not a message. */
export const LONGEST = 4_000 // characters
/** What a browser lists without growing slow; older ones go. */
const MOST = 500

export interface Message {
  id: string
  identity: string
  name: string
  own: boolean
  text: string
  at: number // ms since the epoch
  state: 'sent' | 'sending' | 'failed'
}

export interface ChatState {
  messages: Message[]
  unread: number
  open: boolean
}

export type ChatLog = ReturnType<typeof chatLog>

/** Listens from now on: make it before the room connects. */
export function chatLog(room: Room, now: () => number = Date.now) {
  const store = createStore<ChatState>(() => ({ messages: [], unread: 0, open: false }))
  let own = 0

  const add = (message: Message) =>
    store.setState(({ messages, unread, open }) => ({
      messages: [...messages, message].slice(-MOST),
      unread: open || message.own ? unread : unread + 1,
    }))

  const mark = (id: string, state: Message['state']) =>
    store.setState(({ messages }) => ({ messages: messages.map((m) => (m.id === id ? { ...m, state } : m)) }))

  room.registerTextStreamHandler(TOPIC, (reader: TextStreamReader, from: { identity: string }) => {
    // Read whole before it is shown: a stream may stop half-way, and half a sentence is worse than none.
    void reader.readAll().then(
      (text) => {
        const shown = text.slice(0, LONGEST).trim()
        if (shown === '') return
        const name = room.getParticipantByIdentity(from.identity)?.name ?? ''
        add({ id: reader.info.id, identity: from.identity, name, own: false, text: shown, at: now(), state: 'sent' })
      },
      () => undefined, // The sender left while sending.
    )
  })

  const transmit = async (id: string, text: string) => {
    try {
      await room.localParticipant.sendText(text, { topic: TOPIC })
      mark(id, 'sent')
    } catch {
      mark(id, 'failed')
    }
  }

  return {
    store,
    /** Shows it at once as being sent; an empty text is nothing. */
    async send(text: string): Promise<void> {
      const trimmed = text.trim().slice(0, LONGEST)
      if (trimmed === '') return
      const { identity, name } = room.localParticipant
      const id = `own-${++own}`
      add({ id, identity, name: name ?? '', own: true, text: trimmed, at: now(), state: 'sending' })
      await transmit(id, trimmed)
    },
    async retry(id: string): Promise<void> {
      const message = store.getState().messages.find((m) => m.id === id && m.state === 'failed')
      if (!message) return
      mark(id, 'sending')
      await transmit(id, message.text)
    },
    setOpen(open: boolean): void {
      store.setState(open ? { open, unread: 0 } : { open })
    },
  }
}

/** A piece of a message: text, or an address to open. */
export type Piece = { text: string; href?: string }

const ADDRESS = /https?:\/\/[^\s<>"]+/g
/** Marks that end the sentence around an address and are hardly ever part of it. */
const TRAILING = /[.,;:!?)\]}»”’'"]+$/

export function pieces(text: string): Piece[] {
  const found: Piece[] = []
  let end = 0
  for (const match of text.matchAll(ADDRESS)) {
    const href = match[0].replace(TRAILING, '')
    if (!URL.canParse(href)) continue
    if (match.index > end) found.push({ text: text.slice(end, match.index) })
    found.push({ text: href, href })
    end = match.index + href.length
  }
  if (end < text.length) found.push({ text: text.slice(end) })
  return found
}
