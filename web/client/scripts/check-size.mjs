/** What people have to download before they are in a call, compressed, and the budget that it must keep. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const STATIC = new URL('../../static/', import.meta.url).pathname
const BUDGET = { call: 330, css: 15, chunk: 60 } // kB, gzip

const manifest = JSON.parse(readFileSync(join(STATIC, 'manifest.json'), 'utf8'))
const kilobytes = (file) => gzipSync(readFileSync(join(STATIC, file)), { level: 9 }).length / 1000
const sum = (files) => [...files].reduce((total, file) => total + kilobytes(file), 0)

/** A chunk with everything that it imports statically. */
function closure(key, found = new Set()) {
  if (found.has(key)) return found
  found.add(key)
  for (const other of manifest[key].imports ?? []) closure(other, found)
  return found
}

const needed = new Set()
for (const key of ['index.html', 'src/features/call/CallScreen.tsx', 'src/call/session.ts', 'src/i18n/fr/index.ts']) {
  closure(key, needed)
}
const styles = new Set(Object.values(manifest).flatMap(({ css }) => css ?? []))
const lazy = Object.keys(manifest).filter((key) => manifest[key].file.endsWith('.js') && !needed.has(key))

const figures = [
  ['page and call', sum([...needed].map((key) => manifest[key].file)), BUDGET.call],
  ['styles', sum(styles), BUDGET.css],
  ...lazy.map((key) => [manifest[key].file, kilobytes(manifest[key].file), BUDGET.chunk]),
]
let failed = false
for (const [name, size, limit] of figures) {
  const over = size > limit
  failed ||= over
  if (over || process.argv.includes('--show')) console.error(`${name}: ${size.toFixed(1)} kB of ${limit}${over ? ', too large' : ''}`)
}
if (failed) process.exit(1)
