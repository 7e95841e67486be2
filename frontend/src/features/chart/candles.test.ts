import { describe, expect, it } from 'vitest'

import { MINUTE_MS, OPEN_TIME } from '@/lib/test-data'
import type { Bar } from '@/lib/wire'

import { Candles, indexAt, isJump, isRestated, tallestVolume } from './candles'
import type { Interval } from './intervals'

const at = (minute: number) => OPEN_TIME + minute * MINUTE_MS
const bar = (minute: number, close = 10): Bar => ({ time: at(minute), open: 10, high: 12, low: 8, close, volume: 100 })

function candlesOf(interval: Interval, ...bars: Bar[]): Candles {
  const candles = new Candles(interval)
  candles.prepend(bars)
  return candles
}

const times = (candles: Candles) => candles.all.map(({ time }) => (time - OPEN_TIME) / MINUTE_MS)

describe('putBar', () => {
  it('appends a new minute and replaces a revised one', () => {
    const candles = candlesOf('1m', bar(0), bar(1))
    expect(candles.putBar(bar(2))).toMatchObject({ kind: 'last' })
    expect(candles.putBar(bar(2, 11))).toMatchObject({ kind: 'last', candle: { close: 11 } })
    expect(candles.putBar(bar(0, 9))).toMatchObject({ kind: 'revised', candle: { close: 9 } })
    expect(times(candles)).toEqual([0, 1, 2])
  })

  it('is the same twice', () => {
    const candles = candlesOf('1m', bar(0))
    candles.putBar(bar(1))
    candles.putBar(bar(1))
    expect(times(candles)).toEqual([0, 1])
  })

  it('makes room for a bar that comes after the next minute has begun', () => {
    const candles = candlesOf('1m', bar(0))
    candles.putPrice(at(2), 10.5)
    const drawing = candles.putBar(bar(1))
    expect(drawing).toMatchObject({
      kind: 'tail',
      remove: 1,
      tail: [{ time: at(1) }, { time: at(2), provisional: true }],
    })
    expect(times(candles)).toEqual([0, 1, 2])
  })

  it('ignores a bar older than all that is held, and starts an empty chart', () => {
    const candles = candlesOf('1m', bar(5))
    expect(candles.putBar(bar(4))).toEqual({ kind: 'nothing' })
    expect(candlesOf('1m').putBar(bar(4))).toMatchObject({ kind: 'last' })
  })
})

describe('putPrice', () => {
  it('begins a provisional minute and moves its close', () => {
    const candles = candlesOf('1m', bar(0))
    candles.putPrice(at(1) + 5_000, 10.5)
    candles.putPrice(at(1) + 20_000, 11)
    candles.putPrice(at(1) + 40_000, 10.2)
    expect(candles.all.at(-1)).toMatchObject({
      time: at(1),
      open: 10.5,
      high: 11,
      low: 10.2,
      close: 10.2,
      provisional: true,
    })
    expect(candles.lastClosed).toBe(at(0))
    expect(candles.putBar(bar(1, 10.3))).toMatchObject({ kind: 'last', candle: { close: 10.3, provisional: false } })
    expect(candles.lastClosed).toBe(at(1))
  })

  it('does not touch a closed minute', () => {
    const candles = candlesOf('1m', bar(0), bar(1))
    expect(candles.putPrice(at(1) + 30_000, 50)).toEqual({ kind: 'nothing' })
    expect(candles.putPrice(at(0), 50)).toEqual({ kind: 'nothing' })
  })

  it('moves the close of a longer bar and begins the next on its multiple', () => {
    const candles = candlesOf('5m', bar(0), bar(5))
    candles.putPrice(at(9), 13)
    expect(candles.all.at(-1)).toMatchObject({ time: at(5), high: 13, close: 13, volume: 100 })
    candles.putPrice(at(12), 11)
    expect(candles.all.at(-1)).toMatchObject({ time: at(10), open: 11 })
  })

  it('leaves it to the api where an hour or a day begins', () => {
    const hours = candlesOf('1h', bar(0))
    expect(hours.putPrice(at(59), 11)).toMatchObject({ kind: 'last' })
    expect(hours.putPrice(at(61), 11)).toEqual({ kind: 'nothing' })
    const days = candlesOf('1d', bar(0))
    expect(days.putPrice(at(389), 11)).toMatchObject({ kind: 'last', candle: { close: 11 } })
    expect(days.putPrice(at(24 * 60 - 30), 11)).toEqual({ kind: 'nothing' })
  })

  it('needs a bar to begin with', () => {
    expect(candlesOf('1m').putPrice(at(0), 10)).toEqual({ kind: 'nothing' })
  })
})

describe('prepend', () => {
  it('puts older bars before, without doubles', () => {
    const candles = candlesOf('1m', bar(5), bar(6))
    candles.prepend([bar(3), bar(4), bar(5)])
    expect(times(candles)).toEqual([3, 4, 5, 6])
  })
})

describe('indexAt', () => {
  it('finds the candle that a moment falls into', () => {
    const { all } = candlesOf('1m', bar(0), bar(1), bar(5))
    expect([-1, 0, 1.5, 4, 9].map((minute) => indexAt(all, at(minute)))).toEqual([-1, 0, 1, 1, 2])
  })
})

describe('tallestVolume', () => {
  it('leaves the usual bars their height beside an auction', () => {
    const usual = Array.from({ length: 39 }, (_, minute) => bar(minute))
    const auction = { ...bar(39), volume: 40_000 }
    expect(tallestVolume(candlesOf('1m', ...usual, auction).all)).toBe(200)
    expect(tallestVolume([])).toBe(Infinity)
  })
})

it('tells a split from a revision and from a move', () => {
  expect([isRestated(100, 100.4), isRestated(393.05, 98.26), isRestated(10, 10.5)]).toEqual([false, true, true])
  expect([isJump(100, 104), isJump(389.18, 97.34)]).toEqual([false, true])
})
