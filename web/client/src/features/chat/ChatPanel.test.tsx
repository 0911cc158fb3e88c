import { act, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, test, vi } from 'vitest'
import { fakeCall, faults, THEMES } from '../../test/render'
import ChatPanel from './ChatPanel'

const MESSAGE = { id: 'm1', identity: 'bruno', name: 'Bruno', own: false, text: 'Voir https://example.org/a.', at: 0, state: 'sent' as const }

describe('the chat panel', () => {
  test('takes the focus, closes on Escape and gives the focus back', async () => {
    const { show } = fakeCall()
    const close = vi.fn()
    const opener = document.body.appendChild(document.createElement('button'))
    opener.focus()
    const { unmount } = show(<ChatPanel onClose={close} />)
    expect(document.activeElement?.textContent).toBe('Messages')
    await userEvent.keyboard('{Escape}')
    expect(close).toHaveBeenCalledOnce()
    unmount()
    expect(document.activeElement).toBe(opener)
  })

  test('reading marks as read', () => {
    const { show, call } = fakeCall()
    call.session.chat.store.setState({ messages: [MESSAGE], unread: 1 })
    show(<ChatPanel onClose={() => undefined} />)
    expect(call.session.chat.store.getState().unread).toBe(0)
  })

  test('Enter sends, Shift and Enter begins a line, nothing sends nothing', async () => {
    const { show, call } = fakeCall()
    const send = vi.spyOn(call.session.chat, 'send').mockResolvedValue(undefined)
    show(<ChatPanel onClose={() => undefined} />)
    const field = screen.getByRole('textbox', { name: 'Écrire un message' })
    await userEvent.type(field, '{Enter}')
    expect(send).not.toHaveBeenCalled()
    await userEvent.type(field, 'Bonjour{Shift>}{Enter}{/Shift}à tous{Enter}')
    expect(send).toHaveBeenCalledWith('Bonjour\nà tous')
    expect((field as HTMLTextAreaElement).value).toBe('')
  })

  test('links open elsewhere and tell the other side nothing', () => {
    const { show, call } = fakeCall()
    call.session.chat.store.setState({ messages: [MESSAGE] })
    show(<ChatPanel onClose={() => undefined} />)
    const link = screen.getByRole('link', { name: 'https://example.org/a' })
    expect(link.getAttribute('rel')).toBe('noopener noreferrer nofollow')
    expect(link.getAttribute('target')).toBe('_blank')
  })

  test('a failed message can be sent again', async () => {
    const { show, call } = fakeCall()
    const retry = vi.spyOn(call.session.chat, 'retry').mockResolvedValue(undefined)
    show(<ChatPanel onClose={() => undefined} />)
    act(() => call.session.chat.store.setState({ messages: [{ ...MESSAGE, own: true, state: 'failed' }] }))
    await userEvent.click(screen.getByRole('button', { name: 'Renvoyer' }))
    expect(retry).toHaveBeenCalledWith('m1')
  })

  test.each(THEMES)('has no accessibility fault in the %s theme', async (theme) => {
    const { show, call } = fakeCall()
    call.session.chat.store.setState({ messages: [MESSAGE, { ...MESSAGE, id: 'm2', own: true }] })
    const { container } = show(<ChatPanel onClose={() => undefined} />, theme)
    expect(await faults(container)).toEqual([])
  })
})
