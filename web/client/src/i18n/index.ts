/** The page's languages. French is the source; each language is one file of the build, fetched when wanted. */
import i18next from 'i18next'
import { initReactI18next } from 'react-i18next'

export const LANGUAGES = ['fr', 'de', 'en'] as const
export type Language = (typeof LANGUAGES)[number]

const LOADERS: Record<Language, () => Promise<{ default: Record<string, object> }>> = {
  fr: () => import('./fr'),
  de: () => import('./de'),
  en: () => import('./en'),
}

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
  for (const [namespace, words] of Object.entries((await LOADERS[language]()).default)) {
    i18next.addResourceBundle(language, namespace, words)
  }
  await i18next.changeLanguage(language)
  document.documentElement.lang = language
}
