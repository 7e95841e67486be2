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
  const FRIDAY_CLOSE = Date.parse('2018-03-23T20:00:00Z')
  const THURSDAY_CLOSE = Date.parse('2018-03-22T20:00:00Z')
  const open = { market: 'open', speed: 1, last_close: FRIDAY_CLOSE, connected: true } as const
  const closed = { ...open, market: 'closed' } as const

  it.each([
    ['of just now', NOW - 2 * MINUTE_MS, open, NOW, null],
    ['too old in an open market', NOW - 12 * MINUTE_MS, open, NOW, '12 min old'],
    ['not known yet', null, open, NOW, null],
    ['within what a fast replay runs on meanwhile', NOW - 7 * MINUTE_MS, { ...open, speed: 60 }, NOW, null],
    ['older than these', NOW - 9 * MINUTE_MS, { ...open, speed: 60 }, NOW, '9 min old'],
    ["last night's, before the first of today can be there", FRIDAY_CLOSE, open, OPENING + MINUTE_MS, null],
    ['of the night before that', THURSDAY_CLOSE, open, OPENING + MINUTE_MS, 'of Thu 22 Mar'],
    ["last night's, when the first of today is due", FRIDAY_CLOSE, open, OPENING + 10 * MINUTE_MS, 'of Fri 23 Mar'],
    ["of the last session's end, all evening", FRIDAY_CLOSE, closed, FRIDAY_CLOSE + 300 * MINUTE_MS, null],
    ['the same on the morning after', FRIDAY_CLOSE - MINUTE_MS, closed, OPENING - MINUTE_MS, null],
    ["a thin stock's last one", FRIDAY_CLOSE - 14 * MINUTE_MS, closed, FRIDAY_CLOSE + MINUTE_MS, null],
    ['from long before the close', FRIDAY_CLOSE - 90 * MINUTE_MS, closed, FRIDAY_CLOSE + 30 * MINUTE_MS, '2 h old'],
    ['of a session before the last', THURSDAY_CLOSE, closed, FRIDAY_CLOSE + MINUTE_MS, 'of Thu 22 Mar'],
    ['closed, and of the close nothing is told', THURSDAY_CLOSE, { ...closed, last_close: null }, NOW, null],
    ['without a connection', NOW, { ...open, connected: false }, NOW, 'of 11:00'],
    ['without a connection, of another day', FRIDAY_CLOSE, { ...closed, connected: false }, NOW, 'of Fri 23 Mar'],
  ])('%s', (_, priceTime, market, at, words) => {
    expect(describeStalePrice(priceTime, market, at)).toBe(words)
  })

  it('is told while the clock stands as well, by where it stands', () => {
    const at = marketNow(setClock(null, told(NOW, 1, true), 0), 3_600_000)
    expect(describeStalePrice(NOW - 40 * MINUTE_MS, open, at)).toBe('40 min old')
    expect(describeStalePrice(NOW - 2 * MINUTE_MS, open, at)).toBeNull()
  })
})
