/** The small parts that boot reads: configuration, theme, language, this tab's name, preferences. */
import { describe, expect, test } from 'vitest'
import { chooseLanguage } from '../i18n'
import { parseConfig, readConfig } from './config'
import { tabDevice } from './device'
import { DEFAULTS, parsePreferences } from './preferences'
import { applyTheme, themeOf } from './theme'

describe('configuration', () => {
  test('is read from the template', () => {
    document.body.innerHTML = '<script type="application/json" id="config">{"version":"0.1","dev":true,"matrix_server":"e","foci":["https://rtc.example"]}</script>'
    expect(readConfig(document)).toEqual({ version: '0.1', dev: true, matrixServer: 'e', foci: ['https://rtc.example'] })
  })

  test.each(['', '{{ config_json }}', '[1]', 'null'])('takes its defaults from «%s»: no sign-in by password', (text) => {
    document.body.innerHTML = `<script type="application/json" id="config">${text}</script>`
    expect(readConfig(document).dev).toBe(false)
  })

  test('believes dev only if it is true', () => {
    expect(parseConfig({ dev: 'yes' }).dev).toBe(false)
  })
})

describe('theme', () => {
  test.each([['dark', 'dark'], ['custom-Nuit', 'dark'], ['light-high-contrast', 'light'], ['', null]])('«%s» is %s', (name, theme) => {
    expect(themeOf(name)).toBe(theme)
  })

  test('without one, the system decides', () => {
    applyTheme('dark')
    expect(document.documentElement.dataset.theme).toBe('dark')
    applyTheme(null)
    expect(document.documentElement.dataset.theme).toBeUndefined()
  })
})

describe('language', () => {
  test('is the first wish that we speak', () => {
    expect(chooseLanguage(['it-IT', 'de-CH', 'fr'])).toBe('de')
    expect(chooseLanguage(['FR_be'])).toBe('fr')
  })

  test('is English for those who speak none of ours', () => {
    expect(chooseLanguage(['pl', 'nl'])).toBe('en')
    expect(chooseLanguage([])).toBe('en')
  })
})

describe('this tab’s name', () => {
  test('stays the same across a reload', () => {
    const first = tabDevice(sessionStorage)
    expect(first).toMatch(/^[A-Za-z0-9_-]{1,32}$/)
    expect(tabDevice(sessionStorage)).toBe(first)
  })

  test('is a new one where the browser forbids storage', () => {
    const forbidden = { getItem: () => { throw new DOMException('', 'SecurityError') }, setItem: () => { throw new DOMException('', 'SecurityError') } }
    expect(tabDevice(forbidden as unknown as Storage)).toMatch(/^[a-f0-9]{16}$/)
    expect(tabDevice(null)).not.toBe(tabDevice(null))
  })
})

describe('preferences', () => {
  test('that are damaged are the defaults', () => {
    expect(parsePreferences('x')).toEqual(DEFAULTS)
    expect(parsePreferences({ camera: false, devices: { microphone: 3, camera: 'c' } })).toEqual({
      ...DEFAULTS, camera: false, devices: { microphone: '', camera: 'c', speaker: '' },
    })
  })
})
