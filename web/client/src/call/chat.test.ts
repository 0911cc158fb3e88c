import type { Room, TextStreamHandler } from 'livekit-client'
import { describe, expect, test, vi } from 'vitest'
import { chatLog, LONGEST, pieces } from './chat'

function fakeRoom() {
  let handler: TextStreamHandler = () => undefined
  const sendText = vi.fn(() => Promise.resolve({ id: 's1' }))
  const room = {
    registerTextStreamHandler: (_topic: string, given: TextStreamHandler) => (handler = given),
    getParticipantByIdentity: (identity: string) => (identity === 'bruno' ? { name: 'Bruno Lefèvre' } : undefined),
    localParticipant: { identity: 'ana', name: 'Ana Pereira', sendText },
  }
  const receive = async (text: string | Error, identity = 'bruno') => {
    const readAll = () => (text instanceof Error ? Promise.reject(text) : Promise.resolve(text))
    handler({ info: { id: `m-${Math.random()}` }, readAll } as never, { identity })
    await vi.waitFor(() => undefined)
    await Promise.resolve()
  }
  return { room: room as unknown as Room, receive, sendText }
}

describe('the chat', () => {
  test('shows what others write, with their name, and counts it until it is read', async () => {
    const { room, receive } = fakeRoom()
    const chat = chatLog(room, () => 42)
    await receive('Bonjour')
    expect(chat.store.getState()).toMatchObject({ unread: 1, messages: [{ name: 'Bruno Lefèvre', text: 'Bonjour', own: false, at: 42 }] })
    chat.setOpen(true)
    expect(chat.store.getState().unread).toBe(0)
    await receive('Encore')
    expect(chat.store.getState().unread).toBe(0)
    chat.setOpen(false)
    await receive('Et encore')
    expect(chat.store.getState().unread).toBe(1)
  })

  test('shows one’s own message at once, then as sent', async () => {
    const { room, sendText } = fakeRoom()
    const chat = chatLog(room)
    const sent = chat.send('  Merci  ')
    expect(chat.store.getState().messages).toMatchObject([{ text: 'Merci', own: true, state: 'sending' }])
    await sent
    expect(chat.store.getState().messages[0]?.state).toBe('sent')
    expect(sendText).toHaveBeenCalledWith('Merci', { topic: 'lk.chat' })
  })

  test('keeps a message that failed, to be sent again', async () => {
    const { room, sendText } = fakeRoom()
    sendText.mockRejectedValueOnce(new Error('gone'))
    const chat = chatLog(room)
    await chat.send('Merci')
    const [message] = chat.store.getState().messages
    expect(message?.state).toBe('failed')
    await chat.retry(message?.id ?? '')
    expect(chat.store.getState().messages[0]?.state).toBe('sent')
  })

  test('drops what is empty, cut short in sending, or endless', async () => {
    const { room, receive, sendText } = fakeRoom()
    const chat = chatLog(room)
    await chat.send('   ')
    await receive('  ')
    await receive(new Error('the sender left'))
    expect(sendText).not.toHaveBeenCalled()
    expect(chat.store.getState().messages).toEqual([])
    await receive('x'.repeat(LONGEST + 500))
    expect(chat.store.getState().messages[0]?.text).toHaveLength(LONGEST)
  })
})

describe('links in messages', () => {
  test('are found, without the full stop of the sentence', () => {
    expect(pieces('Voir https://example.org/a?b=1. Merci')).toEqual([
      { text: 'Voir ' },
      { text: 'https://example.org/a?b=1', href: 'https://example.org/a?b=1' },
      { text: '. Merci' },
    ])
  })

  test('are only web addresses', () => {
    expect(pieces('javascript:alert(1) data:text/html,x')).toEqual([{ text: 'javascript:alert(1) data:text/html,x' }])
  })
})
