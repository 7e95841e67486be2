import { describe, expect, it } from 'vitest'

import { describeExpiry, describeSignal, isMuted, signalOf, validityOf, valueOf } from './signal'
import { decisionAt, MINUTE_MS, OPEN_TIME, said, standing, verdictAt } from './test-data'
import type { ModelDecision, Recommendation, Standing } from './wire'

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
  const uncalibrated = { lean: null, possible: null, coverage: null, base_rate: null } as const

  it.each([
    ['one confirms, the other has no lean', up, none, 'watch', 'up'],
    ['the other way round', none, down, 'watch', 'down'],
    ['both confirm, and costs stood in the way', up, up, 'watch', 'up'],
    ['they disagree', up, down, 'quiet', 'flat'],
    ['the other leans against it, although it rules nothing out', down, wide, 'quiet', 'flat'],
    ['leans without ruling the opposite out', wide, wide, 'quiet', 'flat'],
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
  const decision = decisionAt(0)

  it('ends with the horizon, and rests while the market is closed', () => {
    expect(validityOf(decision, 'open', OPEN_TIME + 30 * MINUTE_MS)).toBe('valid')
    expect(validityOf(decision, 'open', decision.expires_at)).toBe('expired')
    expect(validityOf(decision, 'closed', OPEN_TIME)).toBe('closed')
    expect(validityOf(decision, null, null)).toBe('valid')
    expect(validityOf(null, 'open', OPEN_TIME)).toBe('expired')
  })

  it('is told with the time left', () => {
    expect(describeExpiry(decision, OPEN_TIME + 7 * MINUTE_MS)).toBe('24 min left, until 10:01')
    expect(describeExpiry(decision, decision.expires_at - 1)).toBe('1 min left, until 10:01')
    expect(describeExpiry(decision, decision.expires_at)).toBe('expired at 10:01')
    expect(describeExpiry(decisionAt(24 * 60), OPEN_TIME)).toBe('until Tue 27 Mar, 10:01')
  })
})

describe('a badge', () => {
  it('stands out only while its signal is valid and its like do not lose', () => {
    const states: Standing['state'][] = ['proven', 'unproven', 'losing']
    const muted = states.map((state) => isMuted(signalOf({ ...buy, standing: { ...standing, state } }), 'valid'))
    expect(muted).toEqual([false, false, true])
    expect(isMuted(signalOf(buy), 'expired')).toBe(true)
    expect(isMuted(signalOf(buy), 'closed')).toBe(true)
  })

  it('has a value in basis points, a hold none', () => {
    expect(plain(valueOf(signalOf(buy), 'valid'))).toBe('+6.2 bp')
    expect(valueOf(signalOf(buy), 'expired')).toBe('expired')
    expect(valueOf(signalOf(hold({}, {})), 'valid')).toBe('')
  })

  it('is told in words', () => {
    expect(plain(describeSignal(signalOf(buy), 'valid'))).toBe(
      'Buy, +6.2 bp expected after costs, such signals have earned so far',
    )
    expect(describeSignal(signalOf(losing), 'expired')).toMatch(/expired.* no recommendation$/)
    expect(describeSignal(signalOf(hold({}, { lean: null })), 'valid')).toBe('Watch: a model confirms a rise')
    expect(describeSignal(signalOf(hold({ lean: null }, { lean: null })), 'valid')).toBe('Quiet')
  })
})
