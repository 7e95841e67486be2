import { expect, it } from 'vitest'

import { MINUTE_MS, OPEN_TIME, standing, verdictAt } from '@/lib/test-data'

import { Candles } from './candles'
import type { Interval } from './intervals'
import { arrowsOf } from './arrows'

function candlesOf(interval: Interval, minutes: number[]) {
  const candles = new Candles(interval)
  candles.prepend(
    minutes.map((minute) => ({ time: OPEN_TIME + minute * MINUTE_MS, open: 1, high: 1, low: 1, close: 1, volume: 1 })),
  )
  return candles.all
}

const minutesOf = (arrows: { time: number; action: string }[]) =>
  arrows.map(({ time, action }) => `${(time - OPEN_TIME) / MINUTE_MS} ${action}`)

const MINUTES = Array.from({ length: 30 }, (_, minute) => minute)

it('marks where a recommendation begins, not where it goes on', () => {
  const verdicts = [
    verdictAt(0, 'hold'),
    verdictAt(1, 'buy'),
    verdictAt(2, 'buy'),
    verdictAt(3, 'hold', true),
    verdictAt(4, 'buy'),
    verdictAt(6, 'sell'),
    verdictAt(20, 'sell'),
  ]
  const arrows = arrowsOf(verdicts.toReversed(), candlesOf('1m', MINUTES), '1m')
  expect(minutesOf(arrows)).toEqual(['1 buy', '6 sell', '20 sell'])
})

it('puts the signal of a minute on the longer candle that holds it', () => {
  const verdicts = [verdictAt(7, 'buy'), verdictAt(8, 'sell'), verdictAt(9, 'buy')]
  expect(minutesOf(arrowsOf(verdicts, candlesOf('5m', [0, 5, 10]), '5m'))).toEqual(['5 buy', '5 sell'])
})

it('leaves out what has no candle', () => {
  const verdicts = [verdictAt(0, 'buy'), verdictAt(20, 'sell')]
  expect(arrowsOf(verdicts, candlesOf('1m', [5, 6]), '1m')).toEqual([])
})

it('marks nothing that was analysed late', () => {
  const late = [verdictAt(1, 'buy'), verdictAt(6, 'sell')].map((verdict) => ({ ...verdict, late: true }))
  const verdicts = [...late, verdictAt(2, 'buy')]
  expect(minutesOf(arrowsOf(verdicts, candlesOf('1m', MINUTES), '1m'))).toEqual(['2 buy'])
})

it('mutes those of a rule that loses', () => {
  const losing = verdictAt(2, 'sell')
  losing.recommendation.standing = { ...standing, state: 'losing' }
  const arrows = arrowsOf([verdictAt(0, 'buy'), losing], candlesOf('1m', MINUTES), '1m')
  expect(arrows.map(({ muted }) => muted)).toEqual([false, true])
})
