/**
 * Holds the catalogues to what a person may expect: every sentence in every language, whole and well set.
 *
 * Exits 1 with one line per fault. French is the source: its keys are the ones that count.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const SOURCE = 'fr'
const LANGUAGES = ['fr', 'de', 'en']
const ROOT = new URL('../src/', import.meta.url).pathname
const PLURAL = /_(zero|one|two|few|many|other)$/
const faults = []

const catalogues = Object.fromEntries(LANGUAGES.map((language) => [language, read(language)]))
for (const language of LANGUAGES) {
  sameKeys(language)
  for (const [key, text] of Object.entries(catalogues[language])) {
    sameVariables(language, key, text)
    wellSet(language, key, text)
  }
}
usedKeys()

for (const fault of faults) console.error(fault)
if (faults.length > 0) process.exit(1)

function read(language) {
  const folder = join(ROOT, 'i18n', language)
  const all = {}
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
    const words = JSON.parse(readFileSync(join(folder, file), 'utf8'))
    for (const [key, text] of Object.entries(words)) all[`${file.slice(0, -5)}:${key}`] = text
  }
  return all
}

/** A plural has exactly the forms that the language's rules name (CLDR, as the browser knows them). */
function sameKeys(language) {
  const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories
  const wanted = new Set()
  for (const key of Object.keys(catalogues[SOURCE])) {
    if (!isPlural(key)) wanted.add(key)
    else for (const form of forms) wanted.add(key.replace(PLURAL, `_${form}`))
  }
  const has = new Set(Object.keys(catalogues[language]))
  for (const key of wanted) if (!has.has(key)) faults.push(`${language}: ${key} is missing`)
  for (const key of has) if (!wanted.has(key)) faults.push(`${language}: ${key} is in no other language`)
}

/** `…_other` with a sibling `…_one` is a plural; a key that merely ends so is not. */
function isPlural(key) {
  if (!PLURAL.test(key)) return false
  const base = key.replace(PLURAL, '')
  return `${base}_one` in catalogues[SOURCE] && `${base}_other` in catalogues[SOURCE]
}

function sameVariables(language, key, text) {
  if (text.trim() === '') return faults.push(`${language}: ${key} is empty`)
  const source = catalogues[SOURCE][key] ?? catalogues[SOURCE][key.replace(PLURAL, '_other')]
  if (source === undefined) return
  if (names(source) !== names(text)) faults.push(`${language}: ${key} has {{${names(text)}}}, not {{${names(source)}}}`)
}

function names(sentence) {
  return [...sentence.matchAll(/{{\s*(\w+)\s*}}/g)].map((match) => match[1]).toSorted().join(' ')
}

/** Typography: non-breaking spaces where a language wants them, real apostrophes and quotation marks. */
function wellSet(language, key, text) {
  const complain = (what) => faults.push(`${language}: ${key}: ${what}: ${text}`)
  if (/['"]/.test(text)) complain('straight apostrophe or quotation mark')
  if (/\.\.\./.test(text)) complain('three dots instead of an ellipsis')
  if (/ {2}|^ | $/.test(text)) complain('stray space')
  if (language === 'fr') {
    if (/[^\u202f\u00a0][;?!]/.test(text)) complain('; ? ! want a narrow non-breaking space before them')
    if (/[^\u00a0]:/.test(text)) complain(': wants a non-breaking space before it')
    if (/«[^\u00a0]|[^\u00a0]»/.test(text)) complain('« » want non-breaking spaces inside')
  } else if (/[\u00a0\u202f ][;:?!]/.test(text)) complain('space before ; : ? !')
}

/** Every key is used somewhere, so that nobody translates what nobody reads. The compiler finds those that don't exist. */
function usedKeys() {
  const code = sources(ROOT).map((file) => readFileSync(file, 'utf8')).join('\n')
  const fixed = new Set([...code.matchAll(/['"`](?:\w+:)?(\w+)['"`]/g)].map((match) => match[1]))
  const built = [...code.matchAll(/`(?:\w+:)?(\w*\$\{[^`]+)`/g)].map((match) => pattern(match[1]))
  for (const key of Object.keys(catalogues[SOURCE])) {
    const name = (isPlural(key) ? key.replace(PLURAL, '') : key).split(':')[1]
    if (!fixed.has(name) && !built.some((candidate) => candidate.test(name))) faults.push(`${SOURCE}: ${key} is used nowhere`)
  }
}

/** `ask_${what}_means` as a pattern for the keys that it can make; a part without fixed text proves nothing. */
function pattern(template) {
  const parts = template.split(/\$\{(?:[^{}]|{[^{}]*})*}/)
  if (parts.join('').length < 3) return /^$/
  return new RegExp(`^${parts.map((part) => part.replace(/[^\w]/g, '\\$&')).join('\\w+')}$`)
}

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return sources(path)
    return /\.tsx?$/.test(entry.name) && !/\.test\.|\.d\.ts$/.test(entry.name) ? [path] : []
  })
}
