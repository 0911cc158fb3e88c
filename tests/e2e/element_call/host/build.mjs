// Bundles the host page into dist/, with the encryption library's WebAssembly beside it, where that looks for it.
import { copyFile, mkdir } from 'node:fs/promises'

import { build } from 'esbuild'

const WASM = 'matrix_sdk_crypto_wasm_bg.wasm'

await build({
  entryPoints: ['src/host.ts'],
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  target: 'es2022',
  logLevel: 'warning',
})
await mkdir('dist/pkg', { recursive: true })
await copyFile(`node_modules/@matrix-org/matrix-sdk-crypto-wasm/pkg/${WASM}`, `dist/pkg/${WASM}`)
for (const file of ['index.html', 'host.css']) await copyFile(file, `dist/${file}`)
