import { describe, expect, it } from 'vitest'

import type { LiveStock } from '@/lib/stream'
import { verdictAt } from '@/lib/test-data'
import type { Action } from '@/lib/wire'

import { matchesFilter, orderTickers } from './order'

function stock(ticker: string, change_percent: number | null, action: Action | null, confidence = 0.5): LiveStock {
  const verdict = verdictAt(0, action ?? 'hold')
  return {
    ticker,
    name: `${ticker} Company`,
    sector: ticker === 'XOM' ? 'Energy' : 'Technology',
    price: 10,
    price_time: null,
    previous_close: null,
    change: null,
    change_percent,
    analysis: action && {
      ...verdict,
      ticker,
      bar: { time: verdict.bar_time, open: 1, high: 1, low: 1, close: 1, volume: 1 },
      timing: null,
      recommendation: { ...verdict.recommendation, confidence },
    },
    move: null,
    moves: 0,
  }
}

const STOCKS = [
  stock('MSFT', -1, 'hold', 0.44),
  stock('AAPL', 2, 'sell', 0.6),
  stock('XOM', null, null),
  stock('BA', 2, 'buy', 0.5),
]

describe('orderTickers', () => {
  it('sorts, breaks ties by the alphabet and puts the unknown last', () => {
    expect(orderTickers(STOCKS, { key: 'ticker', descending: true })).toEqual(['XOM', 'MSFT', 'BA', 'AAPL'])
    expect(orderTickers(STOCKS, { key: 'change', descending: true })).toEqual(['AAPL', 'BA', 'MSFT', 'XOM'])
    expect(orderTickers(STOCKS, { key: 'change', descending: false })).toEqual(['MSFT', 'AAPL', 'BA', 'XOM'])
    expect(orderTickers(STOCKS, { key: 'recommendation', descending: true })).toEqual(['BA', 'AAPL', 'MSFT', 'XOM'])
  })
})

describe('matchesFilter', () => {
  it('looks at ticker, name and sector', () => {
    const matching = (filter: string) =>
      STOCKS.filter((each) => matchesFilter(each, filter)).map(({ ticker }) => ticker)
    expect(matching(' ba ')).toEqual(['BA'])
    expect(matching('energy')).toEqual(['XOM'])
    expect(matching('msft comp')).toEqual(['MSFT'])
    expect(matching('')).toHaveLength(4)
  })
})
