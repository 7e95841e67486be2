import { expect, it } from 'vitest'

import { decisionAt, said, verdictAt } from '@/lib/test-data'

import { mergeVerdicts, rowsBetween } from './predictions'
import { runsOf } from './runs'

const DAY_MINUTES = 24 * 60

it('folds equal recommendations into runs, newest first', () => {
  const watch = verdictAt(7, 'hold', true)
  watch.recommendation.decision = decisionAt(7, { models: { lstm: said({}), transformer: said({ lean: null }) } })
  const verdicts = [
    verdictAt(DAY_MINUTES, 'buy'),
    verdictAt(9, 'buy'),
    verdictAt(8, 'buy'),
    watch,
    verdictAt(6, 'hold', true),
    verdictAt(5, 'hold'),
  ]
  const runs = runsOf(verdicts)
  expect(runs.map(({ latest }) => latest)).toEqual([verdicts[0], verdicts[1], verdicts[3], verdicts[4]])
  expect(runs.map(({ from }) => from)).toEqual([0, 2, 3, 5].map((index) => verdicts[index]?.bar_time))
  expect(runs[1]?.to).toBe(verdicts[1]?.bar_time)
})

it('keeps what was analysed late in rows of its own', () => {
  const verdicts = [verdictAt(3, 'buy'), { ...verdictAt(2, 'buy'), late: true }, verdictAt(1, 'buy')]
  expect(runsOf(verdicts).map(({ latest }) => latest.late)).toEqual([false, true, false])
})

it('merges history and news into one list without doubles', () => {
  const merged = mergeVerdicts([verdictAt(3, 'hold'), verdictAt(1, 'buy')], [verdictAt(4, 'sell'), verdictAt(3, 'buy')])
  expect(merged.map(({ recommendation }) => recommendation.action)).toEqual(['sell', 'buy', 'buy'])
  expect(merged).toHaveLength(3)
})

it('asks for as many as lie between, but for no more than a page', () => {
  expect([90, 5, 5_000].map((minutes) => rowsBetween(0, minutes * 60_000))).toEqual([91, 60, 400])
  expect(rowsBetween(Infinity, 0)).toBe(60)
})
