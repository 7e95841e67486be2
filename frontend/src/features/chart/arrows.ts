import type { EpochMs, Verdict } from '@/lib/wire'

import { type Candle, indexAt } from './candles'
import { INTERVAL_MS, type Interval } from './intervals'

/** An arrow on the chart: where a run of equal recommendations to act began. */
export interface Arrow {
  /** Start of the candle it belongs to. */
  time: EpochMs
  action: 'buy' | 'sell'
  /** Its like have lost money: it must not stand out. */
  muted: boolean
}

/** A recommendation that pauses for less than this and returns is still the same one. */
const PAUSE_MS = 10 * 60_000

/**
 * Where buy and sell recommendations began, at most one of each per candle. None for what was analysed late: nobody was
 * given it.
 *
 * A recommendation repeats every minute while both models hold to it; an arrow on each would hide the candles.
 */
export function arrowsOf(verdicts: readonly Verdict[], candles: readonly Candle[], interval: Interval): Arrow[] {
  const arrows = new Map<string, Arrow>()
  const ascending = [...verdicts].sort((left, right) => left.bar_time - right.bar_time)
  let before: { action: 'buy' | 'sell'; time: EpochMs } | null = null
  for (const { bar_time, recommendation, late } of ascending) {
    const { action, standing } = recommendation
    if (action === 'hold' || late) continue
    const goesOn: boolean = before?.action === action && bar_time - before.time < PAUSE_MS
    before = { action, time: bar_time }
    if (goesOn) continue
    const candle = candles[indexAt(candles, bar_time)]
    if (!candle || bar_time >= candle.time + INTERVAL_MS[interval]) continue
    arrows.set(`${candle.time} ${action}`, { time: candle.time, action, muted: standing?.state === 'losing' })
  }
  return [...arrows.values()]
}
