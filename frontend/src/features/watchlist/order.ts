import { signalOf, type SignalKind } from '@/lib/signal'
import type { LiveStock } from '@/lib/stream'
import type { Analysis, ModelDecision, Opinion } from '@/lib/wire'

export type SortKey = 'ticker' | 'price' | 'change' | 'lift' | 'signal'
export interface Sort {
  key: SortKey
  descending: boolean
}

/**
 * How far the model's probability of the direction to which it leans lies above the usual one, negative for a fall, -1..1:
 * 0 without a lean, null without calibration.
 */
export function liftOf(opinion: Opinion, { lean, base_rate }: ModelDecision): number | null {
  if (base_rate === null) return null
  if (lean === null) return 0
  return (lean === 'up' ? 1 : -1) * Math.max(0, opinion[lean] - base_rate[lean])
}

function meanLift({ lstm, transformer, recommendation: { decision } }: Analysis): number | null {
  if (decision === null) return null
  const lifts = [liftOf(lstm, decision.models.lstm), liftOf(transformer, decision.models.transformer)]
  const known = lifts.filter((lift) => lift !== null)
  return known.length === 0 ? null : known.reduce((sum, lift) => sum + lift, 0) / known.length
}

/** Signals come before what is only watched, whatever they expect. */
const KIND_RANK: Record<SignalKind, number> = { buy: 2, sell: 2, watch: 1, quiet: 0 }
/** More than any signal expects, bp. */
const RANK_BPS = 1e6

function signalRank({ recommendation }: Analysis): number {
  const { kind, expectedBps } = signalOf(recommendation)
  return KIND_RANK[kind] * RANK_BPS + (expectedBps ?? 0)
}

/** What a stock is sorted by; null sorts last either way. */
function rank({ price, change_percent, analysis }: LiveStock, key: Exclude<SortKey, 'ticker'>): number | null {
  switch (key) {
    case 'price':
      return price
    case 'change':
      return change_percent
    case 'lift':
      return analysis && meanLift(analysis)
    case 'signal':
      return analysis && signalRank(analysis)
  }
}

/** Tickers in the chosen order; equal ones keep the alphabet. */
export function orderTickers(stocks: readonly LiveStock[], { key, descending }: Sort): string[] {
  const sign = descending ? -1 : 1
  return stocks
    .map((stock) => ({ ticker: stock.ticker, rank: key === 'ticker' ? 0 : rank(stock, key) }))
    .sort((left, right) => {
      if (key === 'ticker') return sign * left.ticker.localeCompare(right.ticker)
      if (left.rank === null || right.rank === null) return Number(left.rank === null) - Number(right.rank === null)
      return sign * (left.rank - right.rank) || left.ticker.localeCompare(right.ticker)
    })
    .map(({ ticker }) => ticker)
}

/** Whether the stock is meant by what was typed: part of the ticker, name or sector. */
export function matchesFilter({ ticker, name, sector }: LiveStock, filter: string): boolean {
  const text = filter.trim().toLowerCase()
  return [ticker, name, sector ?? ''].some((field) => field.toLowerCase().includes(text))
}
