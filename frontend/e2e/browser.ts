import { existsSync } from 'node:fs'

import { type Browser, chromium } from 'playwright-core'

const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** The browser of this machine: CHROMIUM, else the distribution's. Null when there is none. */
export function findChromium(): string | null {
  const { CHROMIUM } = process.env
  if (CHROMIUM) return CHROMIUM
  return CANDIDATES.find((path) => existsSync(path)) ?? null
}

export function launch(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, headless: true, args: FLAGS })
}
