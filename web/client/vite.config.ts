/** How the page is built: hashed files below /assets/ and one template that the server fills in at each request. */
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [react()],
  publicDir: false,
  build: {
    outDir: '../static',
    emptyOutDir: true,
    assetsDir: 'assets',
    assetsInlineLimit: 0, // the Content-Security-Policy allows no data: fonts or scripts
    target: ['es2022', 'chrome123', 'firefox128', 'safari17.5'], // the oldest with CSS light-dark() and their support terms
    modulePreload: { polyfill: false }, // it would be an inline script
    manifest: 'manifest.json', // read by scripts/check-size.mjs
    license: { fileName: 'assets/licences.md' }, // what others' licences ask to be kept with their code
    rolldownOptions: {
      external: ['@matrix-org/matrix-sdk-crypto-wasm'], // nothing used refers to it, but its 8 MB would be copied
      // matrix-js-sdk is used in parts, which have no side effects; it doesn't say so itself. unhomoglyph is a table of
      // 200 kB that a function beside those we need would read.
      treeshake: { moduleSideEffects: (id) => !/[/]node_modules[/](matrix-js-sdk|unhomoglyph)[/]/.test(id) },
    },
    chunkSizeWarningLimit: 1000, // check-size.mjs holds the real budget, compressed
  },
})
