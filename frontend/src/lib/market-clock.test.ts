import { describe, expect, it } from 'vitest'

import { describeStalePrice, marketNow, setClock, stopClock } from './market-clock'
import { MINUTE_MS } from './test-data'

/** 11:00 in New York. */
const NOW = Date.parse('2018-03-26T15:00:00Z')
const OPENING = Date.parse('2018-03-26T13:30:00Z')
const told = (now: number, speed = 1, paused = false) => ({ now, speed, paused })

describe('the clock', () => {
  it("runs on at the market's speed", () => {
    expect(marketNow(setClock(null, told(NOW, 60), 1_000), 3_000)).toBe(NOW + 2 * MINUTE_MS)
    expect(marketNow(setClock(null, told(NOW), 3_000), 1_000)).toBe(NOW)
  })

  it('stands while the market is paused, and without a connection', () => {
    expect(marketNow(setClock(null, told(NOW, 60, true), 1_000), 90_000)).toBe(NOW)
    const stopped = stopClock(setClock(null, told(NOW, 60), 1_000), 2_000)
    expect(marketNow(stopped, 90_000)).toBe(NOW + MINUTE_MS)
  })

  it('never goes back when the server is a little behind what was shown', () => {
    const before = setClock(null, told(NOW, 60), 0)
    // Shown at 5 s: five minutes later. The server's message took a second, so it is a minute behind.
    const after = setClock(before, told(NOW + 4 * MINUTE_MS, 60), 5_000)
    expect(marketNow(after, 5_000)).toBe(NOW + 5 * MINUTE_MS)
    expect(marketNow(after, 5_500)).toBe(NOW + 5 * MINUTE_MS)
    expect(marketNow(after, 7_000)).toBe(NOW + 6 * MINUTE_MS)
    // A pause begins where the clock was seen last.
    const paused = setClock(before, told(NOW + 4 * MINUTE_MS, 60, true), 5_000)
    expect(marketNow(paused, 60_000)).toBe(NOW + 5 * MINUTE_MS)
  })

  it("goes back to another run's time", () => {
    const before = setClock(null, told(NOW, 60), 0)
    expect(marketNow(setClock(before, told(OPENING, 60), 1_000), 1_000)).toBe(OPENING)
  })
})

describe('a stale price', () => {
  const open = { market: 'open', paused: false, speed: 1 } as const

  it('tells its age when that is too old', () => {
    expect(describeStalePrice(NOW - 2 * MINUTE_MS, open, NOW)).toBeNull()
    expect(describeStalePrice(NOW - 12 * MINUTE_MS, open, NOW)).toBe('12 min old')
    expect(describeStalePrice(null, open, NOW)).toBeNull()
  })

  it('gives a fast replay the market minutes that pass on the way', () => {
    expect(describeStalePrice(NOW - 7 * MINUTE_MS, { ...open, speed: 60 }, NOW)).toBeNull()
    expect(describeStalePrice(NOW - 9 * MINUTE_MS, { ...open, speed: 60 }, NOW)).not.toBeNull()
  })

  it("is not one of last night's before the first of today can be there", () => {
    const friday = Date.parse('2018-03-23T20:00:00Z')
    expect(describeStalePrice(friday, { ...open, market: 'closed' }, NOW)).toBeNull()
    expect(describeStalePrice(friday, open, OPENING + MINUTE_MS)).toBeNull()
    expect(describeStalePrice(friday, open, OPENING + 10 * MINUTE_MS)).toBe('of Fri 23 Mar')
  })

  it('is none while the market stands still', () => {
    expect(describeStalePrice(NOW - 40 * MINUTE_MS, { ...open, paused: true }, NOW)).toBeNull()
  })
})
