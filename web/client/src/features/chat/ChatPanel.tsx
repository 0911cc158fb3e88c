/** Messages among those present. */
import { Send } from 'lucide-react'
import type { KeyboardEvent } from 'react'
import { useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import type { Message } from '../../call/chat'
import { LONGEST, pieces } from '../../call/chat'
import { Button, IconButton } from '../../ui/Button'
import { Panel } from '../../ui/Panel'
import { useCall } from '../call/context'
import css from './ChatPanel.module.css'

export default function ChatPanel({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation('chat')
  const { chat } = useCall().session
  const messages = useStore(chat.store, (state) => state.messages)
  const log = useRef<HTMLDivElement>(null)

  useEffect(() => {
    chat.setOpen(true)
    return () => chat.setOpen(false)
  }, [chat])

  useEffect(() => {
    log.current?.scrollTo?.({ top: log.current.scrollHeight })
  }, [messages.length])

  return (
    <Panel title={t('title')} onClose={onClose}>
      <div ref={log} className={css.log} role="log" aria-label={t('title')} tabIndex={0}>
        <p className={css.note}>{t('note')}</p>
        <ol className={css.messages}>
          {messages.map((message) => (
            <Entry key={message.id} message={message} onRetry={() => void chat.retry(message.id)} />
          ))}
        </ol>
      </div>
      <Composer onSend={(text) => void chat.send(text)} />
    </Panel>
  )
}

function Entry({ message, onRetry }: { message: Message; onRetry: () => void }) {
  const { t, i18n } = useTranslation('chat')
  const at = new Date(message.at)
  return (
    <li className={css.message} data-own={message.own || undefined}>
      <p className={css.from}>
        <strong>{message.own ? t('you') : message.name || message.identity}</strong>
        <time dateTime={at.toISOString()}>
          {new Intl.DateTimeFormat(i18n.language, { hour: '2-digit', minute: '2-digit' }).format(at)}
        </time>
      </p>
      <p className={css.text}>
        {pieces(message.text).map((piece, index) =>
          piece.href === undefined ? (
            piece.text
          ) : (
            <a key={index} href={piece.href} target="_blank" rel="noopener noreferrer nofollow">
              {piece.text}
            </a>
          ),
        )}
      </p>
      {message.state === 'failed' && (
        <div className={css.failed}>
          <span>{t('failed')}</span>
          <Button onPress={onRetry}>{t('retry')}</Button>
        </div>
      )}
    </li>
  )
}

function Composer({ onSend }: { onSend: (text: string) => void }) {
  const { t } = useTranslation('chat')
  const [text, setText] = useState('')
  const send = () => {
    if (text.trim() === '') return
    onSend(text)
    setText('')
  }
  const press = (event: KeyboardEvent) => {
    // While a character is being composed (accents, Chinese), Enter ends the character, not the message.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    send()
  }
  return (
    <form
      className={css.composer}
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      <textarea
        rows={2}
        aria-label={t('write')}
        placeholder={t('write')}
        maxLength={LONGEST}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={press}
      />
      <IconButton type="submit" tone="primary" label={t('send')} icon={<Send size={20} aria-hidden />} />
    </form>
  )
}
