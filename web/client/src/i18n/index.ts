/**
 * The page's languages. French is the source. Each language is two files of the build, fetched when wanted: what
 * everybody reads, and the words of parts that are themselves fetched later (ui/fetched.tsx).
 */
import i18next from 'i18next'
import { initReactI18next } from 'react-i18next'

export const LANGUAGES = ['fr', 'de', 'en'] as const
export type Language = (typeof LANGUAGES)[number]

type Loaders = Record<Language, () => Promise<{ default: Record<string, object> }>>

const LOADERS: Loaders = {
  fr: () => import('./fr'),
  de: () => import('./de'),
  en: () => import('./en'),
}

const LATER: Loaders = {
  fr: () => import('./fr/later'),
  de: () => import('./de/later'),
  en: () => import('./en/later'),
}

/** Whether somebody wanted the words for later, in whatever language. */
let wanted = false

/** The first wish that we speak; English where we speak none, as most people read it. */
export function chooseLanguage(wishes: readonly string[]): Language {
  for (const wish of wishes) {
    const primary = wish.toLowerCase().split(/[-_]/)[0]
    const found = LANGUAGES.find((language) => language === primary)
    if (found) return found
  }
  return 'en'
}

export async function startI18n(language: Language): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: language,
    fallbackLng: false, // check-i18n holds the catalogues complete
    resources: { [language]: (await LOADERS[language]()).default } as never,
    defaultNS: 'common',
    interpolation: { escapeValue: false }, // React escapes
    returnNull: false,
    react: { useSuspense: false },
  })
  document.documentElement.lang = language
}

export async function changeLanguage(language: Language): Promise<void> {
  await add(language, LOADERS)
  if (wanted) await add(language, LATER)
  await i18next.changeLanguage(language)
  document.documentElement.lang = language
}

/** Before a part is shown whose words not everybody needs. */
export async function laterWords(): Promise<void> {
  wanted = true
  await add(i18next.language as Language, LATER)
}

async function add(language: Language, loaders: Loaders): Promise<void> {
  for (const [namespace, words] of Object.entries((await loaders[language]()).default)) {
    i18next.addResourceBundle(language, namespace, words)
  }
}
