/** What jsdom or Node lacks and the page's libraries call. */
import { cleanup, configure } from '@testing-library/react'
import { afterEach, beforeAll } from 'vitest'
import { startI18n } from '../i18n'

globalThis.CSS ??= {} as typeof CSS
CSS.escape ??= (text: string) => text.replace(/[^\w-]/g, (character) => `\\${character}`)

window.matchMedia ??= (query: string) =>
  ({ matches: false, media: query, addEventListener() {}, removeEventListener() {} }) as unknown as MediaQueryList

window.HTMLCanvasElement.prototype.getContext = () => null
window.HTMLMediaElement.prototype.play = () => Promise.resolve()
window.HTMLElement.prototype.scrollTo ??= () => undefined

globalThis.MediaStream ??= class {
  constructor(readonly tracks: unknown[] = []) {}
} as unknown as typeof MediaStream

// In every browser that the build is for; Node has it from version 22.
const promises = Promise as unknown as { withResolvers?: () => object }
promises.withResolvers ??= () => {
  let settle = {}
  const promise = new Promise((resolve, reject) => {
    settle = { resolve, reject }
  })
  return { promise, ...settle }
}

// The first to want a part that is fetched later waits until it has been compiled.
configure({ asyncUtilTimeout: 10_000 })

beforeAll(async () => {
  await startI18n('fr')
})

afterEach(cleanup)
