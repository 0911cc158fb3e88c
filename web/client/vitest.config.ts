import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    environment: 'jsdom',
    setupFiles: ['src/test/setup.ts'],
    include: ['src/**/*.test.{ts,tsx}'],
    css: { include: [/\.css/], modules: { classNameStrategy: 'non-scoped' } },
    maxWorkers: 2,
    testTimeout: 60_000, // a hang, not a busy machine: the checks for accessibility take seconds each
  },
})
