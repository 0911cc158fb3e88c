/** Keys that don't exist are an error of the compiler. */
import 'i18next'
import type french from './fr'
import type later from './fr/later'

declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'common'
    resources: typeof french & typeof later
  }
}
