/** Light or dark: what the Matrix client says, else what the system says (then CSS follows it by itself). */

export type Theme = 'light' | 'dark'

/** Matrix clients name their themes freely (`light-high-contrast`, `custom-Nuit`); '' leaves it to the system. */
export function themeOf(name: string): Theme | null {
  if (name === '') return null
  return /dark|black|night|nuit/i.test(name) ? 'dark' : 'light'
}

export function applyTheme(theme: Theme | null, root: HTMLElement = document.documentElement): void {
  if (theme === null) delete root.dataset.theme
  else root.dataset.theme = theme
}
