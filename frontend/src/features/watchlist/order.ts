import type { LiveStock } from '@/lib/stream'
import type { Action, Opinion } from '@/lib/wire'

export type SortKey = 'ticker' | 'price' | 'change' | 'lean' | 'recommendation'
export interface Sort {
  key: SortKey
  descending: boolean
}

/** How far a model leans: probability of up less that of down, -1..1. */
export function lean(opinion: Opinion): number {
  return opinion.up - opinion.down
}

const ACTION_RANK: Record<Action, number> = { buy: 2, sell: 1, hold: 0 }

/** What a stock is sorted by; null sorts last either way. */
function rank({ price, change_percent, analysis }: LiveStock, key: Exclude<SortKey, 'ticker'>): number | null {
  switch (key) {
    case 'price':
      return price
    case 'change':
      return change_percent
    case 'lean':
      return analysis && (lean(analysis.lstm) + lean(analysis.transformer)) / 2
    case 'recommendation':
      return analysis && ACTION_RANK[analysis.recommendation.action] + analysis.recommendation.confidence
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
