/** The frame of every page but the call: brand, language, and one card or two columns in the middle. */
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { remember } from '../app/preferences'
import { changeLanguage, LANGUAGES } from '../i18n'
import type { Language } from '../i18n'
import { Select } from './Fields'
import css from './Page.module.css'

const OWN_NAMES: Record<Language, string> = { fr: 'Français', de: 'Deutsch', en: 'English' }

/** The mark of the house: a speech bubble and a second voice. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" className={css.mark}>
      <rect width="32" height="32" rx="8" className={css.ground} />
      <path d="M8 9.5h11.5a4.5 4.5 0 0 1 0 9H14l-4.5 4v-4H8z" className={css.bubble} />
      <circle cx="24" cy="23" r="2.4" className={css.voice} />
    </svg>
  )
}

export function Page({ inWidget, children }: { inWidget: boolean; children: ReactNode }) {
  return (
    <div className={css.page}>
      {!inWidget && (
        <header className={css.header}>
          <Mark />
          <span className={css.name}>Palabre</span>
          <LanguageChoice />
        </header>
      )}
      <main className={css.main}>{children}</main>
    </div>
  )
}

function LanguageChoice() {
  const { t, i18n } = useTranslation()
  const choose = (id: string) => {
    remember({ language: id })
    void changeLanguage(id as Language)
  }
  return (
    <Select
      quiet
      label={t('language')}
      options={LANGUAGES.map((id) => ({ id, name: OWN_NAMES[id] }))}
      value={i18n.language}
      onChange={choose}
    />
  )
}

export function Card({ children }: { children: ReactNode }) {
  return <section className={css.card}>{children}</section>
}

export function Waiting({ text }: { text: string }) {
  return (
    <div className={css.waiting} role="status">
      <span className={css.wheel} aria-hidden="true" />
      <p>{text}</p>
    </div>
  )
}

/** A sentence that matters on its own ground. */
export function Remark({ tone = 'warn', children }: { tone?: 'warn' | 'danger'; children: ReactNode }) {
  return <div className={`${css.remark} ${css[tone]}`}>{children}</div>
}
