import { fileURLToPath } from 'node:url'

import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  test: {
    include: ['**/*.e2e.ts'],
    environment: 'node',
    // One browser at a time.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    // Inside the tests BASE_URL is Vite's own (`/`), so what the caller set goes in under another name.
    env: { DASHBOARD_URL: process.env.BASE_URL ?? '' },
  },
})
