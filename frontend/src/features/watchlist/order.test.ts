import { describe, expect, it } from 'vitest'

import type { LiveStock } from '@/lib/stream'
import { decisionAt, said, verdictAt } from '@/lib/test-data'
import type { Recommendation, Verdict } from '@/lib/wire'

import { liftOf, matchesFilter, orderTickers } from './order'

function stock(ticker: string, change_percent: number | null, verdict: Verdict | null): LiveStock {
  return {
    ticker,
    name: `${ticker} Company`,
    sector: ticker === 'XOM' ? 'Energy' : 'Technology',
    price: 10,
    price_time: null,
    previous_close: null,
    change: null,
    change_percent,
    analysis: verdict && {
      ...verdict,
      ticker,
      bar: { time: verdict.bar_time, open: 1, high: 1, low: 1, close: 1, volume: 1 },
      timing: null,
    },
    move: null,
    moves: 0,
  }
}

function verdict(action: Recommendation['action'], decision: Recommendation['decision']): Verdict {
  const plain = verdictAt(0, action)
  return { ...plain, recommendation: { ...plain.recommendation, decision } }
}

const quiet = decisionAt(0, { models: { lstm: said({ lean: null }), transformer: said({ lean: null }) } })
const watch = decisionAt(0, { models: { lstm: said({}), transformer: said({ lean: null }) } })

const STOCKS = [
  stock('MSFT', -1, verdict('hold', quiet)),
  stock('AAPL', 2, verdict('sell', decisionAt(0, { expected_bps: 12.5 }))),
  stock('XOM', null, null),
  stock('BA', 2, verdict('buy', decisionAt(0, { expected_bps: 0.8 }))),
  stock('GE', 1, verdict('hold', watch)),
]

describe('orderTickers', () => {
  it('sorts, breaks ties by the alphabet and puts the unknown last', () => {
    expect(orderTickers(STOCKS, { key: 'ticker', descending: true })).toEqual(['XOM', 'MSFT', 'GE', 'BA', 'AAPL'])
    expect(orderTickers(STOCKS, { key: 'change', descending: true })).toEqual(['AAPL', 'BA', 'GE', 'MSFT', 'XOM'])
    expect(orderTickers(STOCKS, { key: 'change', descending: false })).toEqual(['MSFT', 'GE', 'AAPL', 'BA', 'XOM'])
  })

  it('sorts signals by what they expect, whichever way, then what is watched, then the quiet', () => {
    expect(orderTickers(STOCKS, { key: 'signal', descending: true })).toEqual(['AAPL', 'BA', 'GE', 'MSFT', 'XOM'])
  })
})

describe('liftOf', () => {
  const opinion = { model_id: 'm', down: 0.28, neutral: 0.4, up: 0.32 }
  const base_rate = { down: 0.3, neutral: 0.4, up: 0.3 }

  it('is how much likelier than usual the direction is to which the model leans', () => {
    expect(liftOf(opinion, said({ base_rate, lean: 'up' }))).toBeCloseTo(0.02)
    expect(liftOf({ ...opinion, down: 0.35 }, said({ base_rate, lean: 'down' }))).toBeCloseTo(-0.05)
    expect(liftOf(opinion, said({ base_rate, lean: null }))).toBe(0)
    expect(liftOf(opinion, said({ base_rate: null, lean: null }))).toBeNull()
  })
})

describe('matchesFilter', () => {
  it('looks at ticker, name and sector', () => {
    const matching = (filter: string) =>
      STOCKS.filter((each) => matchesFilter(each, filter)).map(({ ticker }) => ticker)
    expect(matching(' ba ')).toEqual(['BA'])
    expect(matching('energy')).toEqual(['XOM'])
    expect(matching('msft comp')).toEqual(['MSFT'])
    expect(matching('')).toHaveLength(5)
  })
})
