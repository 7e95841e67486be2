import { describe, expect, it } from 'vitest'

import { marketNow, staleAge } from './market-clock'
import { MINUTE_MS } from './test-data'
import type { Status } from './wire'

const NOW = Date.parse('2018-03-26T15:00:00Z')
const status: Status = {
  phase: 'running',
  message: '',
  source: 'live',
  source_note: null,
  market: 'open',
  next_open: null,
  now: NOW,
  speed: 1,
  models: { lstm: null, transformer: null },
  setup: null,
}

describe('marketNow', () => {
  it("runs on at the market's speed", () => {
    expect(marketNow({ ...status, speed: 60 }, 1_000, 3_000)).toBe(NOW + 2 * MINUTE_MS)
    expect(marketNow(status, 3_000, 1_000)).toBe(NOW)
  })
})

describe('staleAge', () => {
  it('tells the age of a price that is too old', () => {
    expect(staleAge(NOW - 2 * MINUTE_MS, status, null, NOW)).toBeNull()
    expect(staleAge(NOW - 12 * MINUTE_MS, status, null, NOW)).toBe(12 * MINUTE_MS)
    expect(staleAge(null, status, null, NOW)).toBeNull()
  })

  it('gives a fast replay the market minutes that pass on the way', () => {
    expect(staleAge(NOW - 7 * MINUTE_MS, { ...status, speed: 60 }, null, NOW)).toBeNull()
    expect(staleAge(NOW - 9 * MINUTE_MS, { ...status, speed: 60 }, null, NOW)).not.toBeNull()
  })

  it("does not call last night's prices stale", () => {
    const yesterday = NOW - 18 * 60 * MINUTE_MS
    expect(staleAge(yesterday, { ...status, market: 'closed' }, null, NOW)).toBeNull()
    expect(staleAge(yesterday, status, NOW - MINUTE_MS, NOW)).toBeNull()
  })
})
