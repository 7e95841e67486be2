import { newYorkDay } from '@/lib/format'
import type { Bar, EpochMs } from '@/lib/wire'

import { INTERVAL_MS, type Interval } from './intervals'

/** A bar of the chart. A provisional one is still forming: its volume is not known and its prices may change. */
export interface Candle extends Bar {
  provisional: boolean
}

/** What the chart has to draw after a change. */
export type Drawing =
  | { kind: 'nothing' }
  /** The last candle, new or changed. */
  | { kind: 'last'; candle: Candle }
  /** One further back, at a time that is drawn already. */
  | { kind: 'revised'; candle: Candle }
  /** The last `remove` candles make room for `tail`. */
  | { kind: 'tail'; remove: number; tail: Candle[] }

const NOTHING: Drawing = { kind: 'nothing' }

/** The candles of one ticker at one interval: ascending, unique. */
export class Candles {
  private list: Candle[] = []

  constructor(readonly interval: Interval) {}

  get all(): readonly Candle[] {
    return this.list
  }

  /** Start of the newest bar that is no longer forming. */
  get lastClosed(): EpochMs | null {
    return this.list.findLast(({ provisional }) => !provisional)?.time ?? null
  }

  /** Older history, before everything held. */
  prepend(bars: readonly Bar[]): void {
    const first = this.list[0]?.time ?? Infinity
    this.list = [
      ...bars.filter(({ time }) => time < first).map((bar) => ({ ...bar, provisional: false })),
      ...this.list,
    ]
  }

  /** A bar from the api, of this interval: new, or a revision of one that is held. */
  putBar(bar: Bar): Drawing {
    const candle = { ...bar, provisional: false }
    const index = this.list.findLastIndex(({ time }) => time <= bar.time)
    const found = this.list[index]
    if (found?.time === bar.time) {
      this.list[index] = candle
      return { kind: index === this.list.length - 1 ? 'last' : 'revised', candle }
    }
    if (index === -1 && this.list.length > 0) return NOTHING // Older than what is drawn: comes with older history.
    this.list.splice(index + 1, 0, candle)
    const tail = this.list.slice(index + 1)
    return tail.length === 1 ? { kind: 'last', candle } : { kind: 'tail', remove: tail.length - 1, tail }
  }

  /** A price at a moment: moves the forming candle's close, or begins a candle where the moment says so. */
  putPrice(time: EpochMs, price: number): Drawing {
    const last = this.list.at(-1)
    if (!last) return NOTHING
    const lengthMs = INTERVAL_MS[this.interval]
    const within = time >= last.time && time < last.time + lengthMs && newYorkDay(time) === newYorkDay(last.time)
    if (within) {
      // A closed minute is the vendor's word; a later price of the same minute does not change it.
      if (this.interval === '1m' && !last.provisional) return NOTHING
      return this.replaceLast({
        ...last,
        high: Math.max(last.high, price),
        low: Math.min(last.low, price),
        close: price,
      })
    }
    // Minutes start on their multiple in every session; where hours and days start is the api's to say.
    const startsOnMultiple = lengthMs <= INTERVAL_MS['15m']
    const start = Math.floor(time / lengthMs) * lengthMs
    if (!startsOnMultiple || start <= last.time) return NOTHING
    const candle = { time: start, open: price, high: price, low: price, close: price, volume: 0, provisional: true }
    this.list.push(candle)
    return { kind: 'last', candle }
  }

  private replaceLast(candle: Candle): Drawing {
    this.list[this.list.length - 1] = candle
    return { kind: 'last', candle }
  }
}

/** Index of the last candle that starts at or before the moment, or -1. */
export function indexAt(candles: readonly Candle[], time: EpochMs): number {
  let low = 0
  let high = candles.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((candles[middle]?.time ?? Infinity) <= time) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** Volumes above this are drawn no taller: the closing auction's would flatten all the others. */
export function tallestVolume(candles: readonly Candle[]): number {
  const traded = candles.map(({ volume }) => volume).filter((volume) => volume > 0)
  const large = traded.sort((left, right) => left - right)[Math.floor(traded.length * 0.95)]
  return large === undefined ? Infinity : 2 * large
}

/** Whether two closes of one bar cannot be revisions of each other: a split was applied to one of them. */
export function isRestated(before: number, after: number): boolean {
  return Math.abs(after / before - 1) > 0.02
}

/** Whether a price lies so far from the one before that a split may have been applied in between. */
export function isJump(before: number, after: number): boolean {
  return Math.abs(after / before - 1) > 0.1
}
