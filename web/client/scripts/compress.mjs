/** Writes .br and .gz beside each text asset: the server hands them out as they are. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const ASSETS = new URL('../../static/assets/', import.meta.url).pathname
const SMALL = 1_000 // bytes: below, a compressed copy saves no packet

for (const name of readdirSync(ASSETS)) {
  if (!/\.(js|css|svg|json|md)$/.test(name)) continue
  const content = readFileSync(join(ASSETS, name))
  if (content.length < SMALL) continue
  writeFileSync(join(ASSETS, `${name}.gz`), gzipSync(content, { level: 9 }))
  writeFileSync(join(ASSETS, `${name}.br`), brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
}
