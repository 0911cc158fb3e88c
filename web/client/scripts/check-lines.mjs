/** No source file longer than a person reads in one sitting. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const MOST = 400 // lines
const root = new URL('..', import.meta.url).pathname
let failed = false

function walk(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) walk(path)
    else if (/\.(tsx?|mjs|css|json)$/.test(entry.name)) {
      const lines = readFileSync(path, 'utf8').split('\n').length - 1
      if (lines > MOST) {
        console.error(`${path.slice(root.length)}: ${lines} lines, more than ${MOST}`)
        failed = true
      }
    }
  }
}

walk(join(root, 'src'))
walk(join(root, 'scripts'))
if (failed) process.exit(1)
