/** Where announcements are read out and passing notices are shown. Once per page. */
import { X } from 'lucide-react'
import { useTranslation } from 'react-i18next'
import { useStore } from 'zustand'
import { dismiss, live } from '../app/live'
import { IconButton } from './Button'
import css from './Live.module.css'

export function Announcer() {
  const { polite, urgent } = useStore(live)
  return (
    <>
      <div className="visually-hidden" role="status" aria-live="polite">
        {polite}
      </div>
      <div className="visually-hidden" role="alert" aria-live="assertive">
        {urgent}
      </div>
    </>
  )
}

/** Screen readers get the same words from the announcer. */
export function Notices() {
  const { t } = useTranslation()
  const notices = useStore(live, (state) => state.notices)
  if (notices.length === 0) return null
  return (
    <ul className={css.notices} aria-label={t('notices')}>
      {notices.map(({ id, text, tone }) => (
        <li key={id} className={css[tone]}>
          <p>{text}</p>
          <IconButton label={t('close')} icon={<X size={18} aria-hidden />} onPress={() => dismiss(id)} />
        </li>
      ))}
    </ul>
  )
}
