import type { Action, Decision, ModelDecision, Standing, Story, Verdict } from './wire'

/** Wire-shaped samples for the unit tests. */

export const MINUTE_MS = 60_000
/** Monday 26 March 2018, 09:30 in New York. */
export const OPEN_TIME = Date.parse('2018-03-26T13:30:00Z')

const opinion = { down: 0.2, neutral: 0.2, up: 0.6 }

export const wireBar = { time: '2018-03-26T13:30:00Z', open: 10, high: 11, low: 9, close: 10.5, volume: 1200 }

const modelDecision = {
  coverage: 0.8,
  possible: ['neutral', 'up'],
  base_rate: { down: 0.3, neutral: 0.4, up: 0.3 },
  lean: 'up',
  expected_bps: 11.4,
} satisfies ModelDecision

export const wireDecision = {
  horizon_minutes: 30,
  expires_at: '2018-03-26T14:01:00Z',
  headline: 'Both models rule out a fall',
  models: { lstm: modelDecision, transformer: modelDecision },
  expected_bps: 6.2,
  expected_bps_lower: 1.1,
  cost_bps: 4,
  blocked_by: null,
}

export const wireStanding = {
  state: 'proven',
  bets: 12,
  days: 3,
  hit_rate: 0.58,
  mean_net_bps: 2.4,
  lower_bps: 0.3,
  upper_bps: 4.4,
  since: '2018-03-20T13:30:00Z',
  sentence: '12 bets on 3 days: 58 % hit, +2.4 bp each after costs.',
}

export const wireAnalysis = {
  ticker: 'AAPL',
  bar: wireBar,
  predictions: {
    lstm: { model_id: 'lstm-1', ...opinion },
    transformer: { model_id: 'transformer-1', ...opinion },
  },
  recommendation: {
    action: 'buy',
    reason: 'Both models lean up and rule out a fall at 80 % coverage.',
    abstained: false,
    disclaimer: 'No advice.',
    decision: wireDecision,
    standing: wireStanding,
  },
  as_of: '2018-03-26T13:31:00.412345678Z',
  timing: { wake_ms: 0.2, features_ms: 0.1, inference_ms: 3.1, total_ms: 4.2 },
}

export const wireStock = {
  ticker: 'AAPL',
  name: 'Apple Inc.',
  sector: 'Technology',
  price: 10.5,
  price_time: '2018-03-26T13:31:00Z',
  previous_close: 10,
  change: 0.5,
  change_percent: 5,
  analysis: wireAnalysis,
}

export const wireStatus = {
  phase: 'running',
  message: 'All 20 stocks are analysed.',
  source: 'replay',
  source_note: 'Recorded prices of the past, not those of today.',
  market: 'open',
  next_open: null,
  last_close: null,
  now: '2018-03-26T13:31:01Z',
  speed: 60,
  models: { lstm: 'lstm-1', transformer: 'transformer-1' },
  setup: null,
  paused: false,
  progress: null,
  stale: null,
  trouble: [],
}

export const wireSnapshot = {
  type: 'snapshot',
  seq: 1,
  as_of: '2018-03-26T13:31:01Z',
  disclaimer: 'No advice.',
  stocks: [wireStock, { ...wireStock, ticker: 'MSFT', name: 'Microsoft', analysis: null }],
  status: wireStatus,
}

export const wirePrice = {
  type: 'price',
  seq: 2,
  ticker: 'AAPL',
  time: '2018-03-26T13:31:20Z',
  price: 10.6,
  change: 0.6,
  change_percent: 6,
  bar: null,
}

export const wireStory = {
  title: 'Apple beats <b>expectations</b>',
  summary: null,
  publisher: 'Newswire',
  url: 'https://news.example/apple',
  published_at: '2018-03-26T13:20:00Z',
  first_seen_at: '2018-03-26T13:31:00Z',
  available_at: '2018-03-26T13:31:02Z',
  sources: ['yahoo', 'finnhub'],
  tickers: ['AAPL'],
  sentiment: { model: 'lexicon-1', negative: 0.1, neutral: 0.2, positive: 0.7, score: 0.6 },
}

export const wireSeries = {
  series: 'UNRATE',
  period: '2018-02-01',
  value: 4.1,
  available_at: '2018-03-10T05:00:00Z',
  previous_period: '2018-01-01',
  change: 0,
}

/** A story that was first seen in the nth minute after the open. */
export function storyAt(minute: number, fields: Partial<Story> = {}): Story {
  const first_seen_at = OPEN_TIME + minute * MINUTE_MS
  return { ...wireStory, published_at: first_seen_at, first_seen_at, ...fields }
}

/** A decision made in the nth minute after the open. */
export function decisionAt(minute: number, fields: Partial<Decision> = {}): Decision {
  return { ...wireDecision, expires_at: OPEN_TIME + (minute + 31) * MINUTE_MS, ...fields }
}

export const standing = { ...wireStanding, state: 'proven', since: OPEN_TIME } satisfies Standing

/** One model's part of a decision. */
export const said = (fields: Partial<ModelDecision>): ModelDecision => ({ ...modelDecision, ...fields })

/** A verdict of the nth minute after the open. */
export function verdictAt(minute: number, action: Action, abstained = false): Verdict {
  const time = OPEN_TIME + minute * MINUTE_MS
  const quiet = said({ possible: ['neutral'], lean: null })
  return {
    bar_time: time,
    as_of: time + MINUTE_MS,
    lstm: { model_id: 'lstm-1', ...opinion },
    transformer: { model_id: 'transformer-1', ...opinion },
    recommendation: {
      action,
      reason: 'A reason.',
      abstained,
      decision: decisionAt(minute, action === 'hold' ? { models: { lstm: quiet, transformer: quiet } } : {}),
      standing: action === 'hold' ? null : standing,
    },
    late: false,
  }
}
