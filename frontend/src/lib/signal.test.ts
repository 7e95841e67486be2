import { describe, expect, it } from 'vitest'

import { besideLosses, describeSignal, describeValidity, isMuted, signalOf, validityOf, valueOf } from './signal'
import { decisionAt, MINUTE_MS, OPEN_TIME, said, standing, verdictAt } from './test-data'
import type { Analysis, ModelDecision, Recommendation, Standing } from './wire'

/** The narrow space before a unit, as a plain one. */
const plain = (text: string) => text.replaceAll('\u202f', ' ')

const buy = verdictAt(0, 'buy').recommendation
const losing: Recommendation = { ...buy, standing: { ...standing, state: 'losing' } }

function hold(lstm: Partial<ModelDecision>, transformer: Partial<ModelDecision>): Recommendation {
  const models = { lstm: said(lstm), transformer: said(transformer) }
  return { ...buy, action: 'hold', decision: decisionAt(0, { models, blocked_by: 'no_lean' }), standing: null }
}

describe('signalOf', () => {
  const up = { lean: 'up', possible: ['neutral', 'up'] } as const
  const down = { lean: 'down', possible: ['down', 'neutral'] } as const
  const none = { lean: null, possible: ['down', 'neutral', 'up'] } as const
  const wide = { lean: 'up', possible: ['down', 'neutral', 'up'] } as const
  const still = { lean: null, possible: ['neutral'] } as const
  const onlyNeutralOrDown = { lean: null, possible: ['down', 'neutral'] } as const
  const nothing = { lean: null, possible: [] } as const
  const uncalibrated = { lean: null, possible: null, coverage: null, base_rate: null } as const

  it.each([
    ['one confirms, the other has no lean', up, none, 'watch', 'up'],
    ['the other way round', none, down, 'watch', 'down'],
    ['both confirm, and costs stood in the way', up, up, 'watch', 'up'],
    ['they disagree', up, down, 'quiet', 'flat'],
    ['the other leans against it, although it rules nothing out', down, wide, 'quiet', 'flat'],
    ['leans without ruling the opposite out', wide, wide, 'quiet', 'flat'],
    ['the other rules every move out', up, still, 'quiet', 'flat'],
    ['the other rules out just this one', onlyNeutralOrDown, up, 'quiet', 'flat'],
    ['the other rules out all it knows', down, nothing, 'quiet', 'flat'],
    ['the other is not calibrated', up, uncalibrated, 'watch', 'up'],
    ['neither leans', none, none, 'quiet', 'flat'],
    ['no calibration', uncalibrated, uncalibrated, 'quiet', 'flat'],
  ])('calls a hold by its decision: %s', (_, lstm, transformer, kind, direction) => {
    const models = [lstm, transformer].map((model) => ({ ...model, possible: model.possible && [...model.possible] }))
    expect(signalOf(hold(models[0] ?? {}, models[1] ?? {}))).toEqual({
      kind,
      direction,
      expectedBps: null,
      standing: null,
    })
  })

  it('gives what a signal expects, and how its rule stands', () => {
    expect(signalOf(buy)).toEqual({ kind: 'buy', direction: 'up', expectedBps: 6.2, standing: 'proven' })
    expect(signalOf({ ...buy, action: 'sell', decision: null, standing: null })).toEqual({
      kind: 'sell',
      direction: 'down',
      expectedBps: null,
      standing: null,
    })
  })
})

describe('validity', () => {
  const verdict = verdictAt(0, 'buy')
  const decision = decisionAt(0)
  const open = { market: 'open', connected: true } as const
  const closed = { market: 'closed', connected: true } as const
  const lost = { market: 'open', connected: false } as const
  const EARLY = OPEN_TIME + 7 * MINUTE_MS
  const END = decision.expires_at
  const undecided = { ...verdict, recommendation: { ...buy, decision: null } }

  it.each([
    ['before its horizon is over', verdict, open, EARLY, 'valid', '24 min left, until 10:01'],
    ['in the last minute', verdict, open, END - 1, 'valid', '1 min left, until 10:01'],
    ['after it', verdict, open, END, 'expired', 'expired at 10:01'],
    ['with no market', verdict, closed, EARLY, 'closed', 'not now: the market is closed; 24 min left, until 10:01'],
    ['without a connection', verdict, lost, EARLY, 'unknown', 'not known without a connection; until 10:01'],
    ['without a connection and over', verdict, lost, END, 'expired', 'expired at 10:01'],
    ['analysed late', { ...verdict, late: true }, open, EARLY, 'late', 'never: analysed late'],
    ['stored before decisions were', undecided, open, EARLY, 'expired', 'expired: it was stored by an earlier version'],
  ] as const)('%s', (_, said, market, at, validity, words) => {
    expect(validityOf(said, market, at)).toBe(validity)
    expect(describeValidity(said.recommendation.decision, validity, at)).toBe(words)
  })

  it('is taken for granted until the market is known, and told by the day when that is another', () => {
    expect(validityOf(verdict, null, null)).toBe('valid')
    expect(describeValidity(decisionAt(24 * 60), 'valid', OPEN_TIME)).toBe('until Tue 27 Mar, 10:01')
  })
})

describe('besideLosses', () => {
  const losingNow = { ...verdictAt(9, 'buy'), ticker: 'MSFT', recommendation: losing } as Analysis
  const other = verdictAt(1, 'buy')
  const verdicts = [
    verdictAt(3, 'buy'),
    verdictAt(2, 'sell'),
    { ...other, lstm: { ...other.lstm, model_id: 'lstm-0' } },
    verdictAt(0, 'hold'),
  ]

  it('puts what is losing now beside the same signal of the same models, and beside no other', () => {
    const states = (stocks: { analysis: Analysis | null }[]) =>
      besideLosses(verdicts, stocks).map(({ recommendation }) => recommendation.standing?.state)
    expect(states([{ analysis: null }, { analysis: losingNow }])).toEqual(['losing', 'proven', 'proven', undefined])
    expect(besideLosses(verdicts, [{ analysis: { ...losingNow, recommendation: buy } }])).toBe(verdicts)
  })
})

describe('a badge', () => {
  const watch = signalOf(hold({}, { lean: null }))
  const quiet = signalOf(hold({ lean: null }, { lean: null }))

  it('stands out only while its signal is valid and its like do not lose', () => {
    const states: Standing['state'][] = ['proven', 'unproven', 'losing']
    const muted = states.map((state) => isMuted(signalOf({ ...buy, standing: { ...standing, state } }), 'valid'))
    expect(muted).toEqual([false, false, true])
    for (const validity of ['late', 'expired', 'unknown', 'closed'] as const) {
      expect(isMuted(signalOf(buy), validity)).toBe(true)
    }
  })

  it('has a value in basis points, a hold none', () => {
    expect(plain(valueOf(signalOf(buy), 'valid'))).toBe('+6.2 bp')
    expect(plain(valueOf(signalOf(buy), 'unknown'))).toBe('+6.2 bp')
    expect(valueOf(signalOf(buy), 'expired')).toBe('expired')
    expect(valueOf(signalOf(buy), 'late')).toBe('late')
    expect(valueOf(watch, 'valid')).toBe('')
    expect(valueOf(watch, 'expired')).toBe('expired')
    expect(valueOf(quiet, 'expired')).toBe('')
  })

  it('is told in words', () => {
    expect(plain(describeSignal(signalOf(buy), 'valid'))).toBe(
      'Buy, +6.2 bp expected after costs, such signals have earned so far',
    )
    expect(describeSignal(signalOf(losing), 'expired')).toMatch(/expired.* no recommendation$/)
    expect(describeSignal(signalOf(buy), 'late')).toContain('analysed late')
    expect(describeSignal(watch, 'valid')).toBe('Watch: a model confirms a rise')
    expect(describeSignal(watch, 'expired')).toBe('Watch: a model confirms a rise, expired')
    expect(describeSignal(quiet, 'expired')).toBe('Quiet')
    expect(describeSignal(quiet, 'late')).toBe('Quiet, analysed late')
  })
})
