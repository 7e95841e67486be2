import type { Answer } from './stand-in'

/** A market of twenty stocks in the api's words, the same every time. */

const MINUTE_MS = 60_000
/** Monday 26 March 2018, 11:00 in New York. */
export const NOW = Date.parse('2018-03-26T15:00:00Z')
const OPEN = Date.parse('2018-03-26T13:30:00Z')
const FRIDAY_OPEN = Date.parse('2018-03-23T13:30:00Z')

const NAMES: [string, string, string][] = [
  ['AAPL', 'Apple Inc.', 'Technology'],
  ['AMZN', 'Amazon.com, Inc.', 'Consumer discretionary'],
  ['BA', 'The Boeing Company', 'Industrials'],
  ['BAC', 'Bank of America Corporation', 'Financials'],
  ['CVX', 'Chevron Corporation', 'Energy'],
  ['DIS', 'The Walt Disney Company', 'Communication'],
  ['GE', 'General Electric Company', 'Industrials'],
  ['GOOGL', 'Alphabet Inc.', 'Technology'],
  ['HD', 'The Home Depot, Inc.', 'Consumer discretionary'],
  ['IBM', 'International Business Machines Corporation', 'Technology'],
  ['INTC', 'Intel Corporation', 'Technology'],
  ['JNJ', 'Johnson & Johnson', 'Health care'],
  ['JPM', 'JPMorgan Chase & Co.', 'Financials'],
  ['KO', 'The Coca-Cola Company', 'Consumer staples'],
  ['MSFT', 'Microsoft Corporation', 'Technology'],
  ['NVDA', 'NVIDIA Corporation', 'Technology'],
  ['PFE', 'Pfizer Inc.', 'Health care'],
  ['PG', 'The Procter & Gamble Company', 'Consumer staples'],
  ['WMT', 'Walmart Inc.', 'Consumer staples'],
  ['XOM', 'Exxon Mobil Corporation', 'Energy'],
]
export const TICKERS = NAMES.map(([ticker]) => ticker)

export const iso = (time: number) => new Date(time).toISOString()
const minutesAgo = (minutes: number) => iso(NOW - minutes * MINUTE_MS)

/** A price that nobody takes for a mark of the axis: it ends in 3 cents. */
const priceAt = (index: number, minute: number) =>
  Math.round(10 * (60 + 17 * index + 2.5 * Math.sin(minute / 23 + index) + minute / 90)) / 10 + 0.03
const MINUTES = 390 + 90
export const lastPrice = (index: number) => Number(priceAt(index, MINUTES - 1).toFixed(2))

function barAt(index: number, minute: number): object {
  const close = Number(priceAt(index, minute).toFixed(2))
  const open = Number((minute === 0 ? close : priceAt(index, minute - 1)).toFixed(2))
  const start = minute < 390 ? FRIDAY_OPEN + minute * MINUTE_MS : OPEN + (minute - 390) * MINUTE_MS
  return {
    time: iso(start),
    open,
    high: Math.max(open, close) + 0.05,
    low: Math.min(open, close) - 0.05,
    close,
    // The closing auction.
    volume: minute === 389 ? 4_000_000 : 20_000 + ((minute * 7_919 + index) % 11) * 3_000,
  }
}

/** Friday's bars and today's. */
export const bars = (index: number) => Array.from({ length: MINUTES }, (_, minute) => barAt(index, minute))

const rates = { down: 0.215, neutral: 0.57, up: 0.215 }
/** Most real signals have "no clear move" on top in both models. */
const neutralOnTop = { up: { down: 0.21, neutral: 0.52, up: 0.27 }, down: { down: 0.25, neutral: 0.53, up: 0.22 } }

function model(lean: 'up' | 'down' | null, possible: string[], expected_bps: number) {
  return { coverage: 0.8, possible, base_rate: rates, lean, expected_bps }
}

function decision(fields: object) {
  return {
    horizon_minutes: 30,
    expires_at: iso(NOW + 24 * MINUTE_MS),
    headline: 'Neither model leans',
    models: {
      lstm: model(null, ['down', 'neutral', 'up'], 0.1),
      transformer: model(null, ['down', 'neutral', 'up'], -0.2),
    },
    expected_bps: null,
    expected_bps_lower: null,
    cost_bps: 4,
    blocked_by: 'no_lean',
    ...fields,
  }
}

function standing(state: string, sentence: string, fields: object) {
  const numbers = { bets: 429, days: 9, hit_rate: 0.28, mean_net_bps: -1.7, lower_bps: -2.6, upper_bps: -0.8 }
  return { state, ...numbers, since: iso(FRIDAY_OPEN), sentence, ...fields }
}

const down = { lstm: model('down', ['down', 'neutral'], -9.1), transformer: model('down', ['down', 'neutral'], -7.2) }
const up = { lstm: model('up', ['neutral', 'up'], 12.4), transformer: model('up', ['neutral', 'up'], 11.5) }

/** What can be said of a stock. */
export const RECOMMENDATIONS = {
  buy: {
    action: 'buy',
    abstained: false,
    reason: 'Both models hold a rise for likelier than usual and rule out a fall at 80 % coverage.',
    decision: decision({
      headline: 'Both models rule out a fall',
      models: up,
      expected_bps: 6.2,
      expected_bps_lower: 1.4,
      blocked_by: null,
    }),
    standing: standing('proven', '212 bets on 9 days: 57 % hit, +2.3 bp each after costs.', {
      bets: 212,
      hit_rate: 0.57,
      mean_net_bps: 2.3,
      lower_bps: 0.4,
      upper_bps: 4.1,
    }),
  },
  losing: {
    action: 'sell',
    abstained: false,
    reason:
      'Both models hold a fall for likelier than usual and rule out a rise at 80 % coverage. It is no recommendation while its rule is losing: 429 bets on 9 days: 28 % hit, −1.7 bp each after costs.',
    decision: decision({
      headline: 'No recommendation: sells are losing',
      models: down,
      expected_bps: 0.8,
      expected_bps_lower: 0.1,
      blocked_by: null,
    }),
    standing: standing('losing', '429 bets on 9 days: 28 % hit, −1.7 bp each after costs.', {}),
  },
  watch: {
    action: 'hold',
    abstained: true,
    reason: 'The LSTM leans up and rules out a fall; the Transformer holds neither direction for likelier than usual.',
    decision: decision({
      headline: 'Only the LSTM leans to a rise',
      models: { lstm: up.lstm, transformer: model(null, ['down', 'neutral', 'up'], 0.4) },
    }),
    standing: null,
  },
  quiet: {
    action: 'hold',
    abstained: true,
    reason: 'Neither model holds a direction for likelier than usual.',
    decision: decision({}),
    standing: null,
  },
  unproven: {
    action: 'sell',
    abstained: false,
    reason: 'Both models hold a fall for likelier than usual and rule out a rise at 80 % coverage.',
    decision: decision({
      headline: 'Both models rule out a rise',
      models: down,
      expected_bps: 2.1,
      expected_bps_lower: 0.3,
      blocked_by: null,
    }),
    standing: standing('unproven', '6 bets on 1 day: 50 % hit, +0.4 bp each after costs.', {
      bets: 6,
      days: 1,
      lower_bps: null,
      upper_bps: null,
    }),
  },
} as const
export type Said = keyof typeof RECOMMENDATIONS
const SAID = Object.keys(RECOMMENDATIONS) as Said[]
/** Which stock it is said of first. */
export const tickerThat = (said: Said) => TICKERS[SAID.indexOf(said)] ?? ''

function analysis(index: number, recommendation: { action: string }): object {
  const said = neutralOnTop[recommendation.action === 'sell' ? 'down' : 'up']
  return {
    ticker: TICKERS[index],
    bar: barAt(index, MINUTES - 1),
    predictions: {
      lstm: { model_id: 'lstm-20180326T030000Z-4f1c', ...said },
      transformer: {
        model_id: 'transformer-20180326T030000Z-9a07',
        ...said,
        neutral: said.neutral - 0.01,
        up: said.up + 0.01,
      },
    },
    recommendation: { disclaimer: DISCLAIMER, ...recommendation },
    as_of: iso(NOW + 412),
    timing: { wake_ms: 0.2, features_ms: 0.1, inference_ms: 3.1, total_ms: 4.2 },
  }
}

export const DISCLAIMER =
  'Tandem is a statistical model, not investment advice. Its probabilities can be wrong and past results promise nothing; you can lose money. Decide for yourself.'

export function stock(index: number, fields: object = {}): Record<string, unknown> {
  const [ticker, name, sector] = NAMES[index] ?? ['', '', '']
  const price = lastPrice(index)
  const change = Number((price - 61 - 17 * index).toFixed(2))
  return {
    ticker,
    name,
    sector,
    price,
    price_time: iso(NOW),
    previous_close: price - change,
    change,
    change_percent: Number(((change / (price - change)) * 100).toFixed(2)),
    analysis: analysis(index, RECOMMENDATIONS[SAID[index % SAID.length] ?? 'quiet']),
    ...fields,
  }
}

/** The stock with something else said of it. */
export function stockSaying(index: number, recommendation: { action: string }): object {
  return stock(index, { analysis: analysis(index, recommendation) })
}

export const STATUS = {
  phase: 'running',
  message: 'All 20 stocks are analysed with every closed minute',
  source: 'live',
  source_note: null,
  market: 'open',
  next_open: null,
  now: iso(NOW + 1_000),
  speed: 1,
  models: { lstm: 'lstm-20180326T030000Z-4f1c', transformer: 'transformer-20180326T030000Z-9a07' },
  setup: null,
  paused: false,
  progress: null,
  stale: null,
  trouble: [],
}

export const SIMULATED = {
  ...STATUS,
  source: 'simulated',
  speed: 20,
  source_note:
    'Simulated prices, made from a seed: an effect is planted in them, so that there are signals to see. They say nothing about any market.',
}

export function snapshot(status: object = STATUS, stocks: object[] = TICKERS.map((_, index) => stock(index))): object {
  return { type: 'snapshot', as_of: iso(NOW), disclaimer: DISCLAIMER, stocks, status: { ...STATUS, ...status } }
}

/** A stock at another number of the list, as the api's history has it: the newest first. */
function predictionsOf(index: number, limit: number): object[] {
  return Array.from({ length: Math.min(limit, 90) }, (_, row) => {
    const said = SAID[(index + Math.floor(row / 7)) % SAID.length] ?? 'quiet'
    const { predictions, ...rest } = analysis(index, RECOMMENDATIONS[said]) as { predictions: object }
    return { ...rest, ...predictions, bar_time: minutesAgo(row + 1), as_of: minutesAgo(row) }
  })
}

const NEWS = Array.from({ length: 12 }, (_, row) => ({
  title: `The company expects ${row + 3} % more sales in the second quarter than it did a year ago`,
  summary: null,
  publisher: 'Newswire',
  url: `https://news.example/${row}`,
  published_at: minutesAgo(31 * row + 9),
  first_seen_at: minutesAgo(31 * row + 8),
  available_at: minutesAgo(31 * row + 8),
  sources: ['yahoo', 'finnhub'],
  tickers: ['AAPL'],
  sentiment: { model: 'lexicon-1', negative: 0.1, neutral: 0.2, positive: 0.7, score: 0.6 },
}))

const SERIES = [
  ['FEDFUNDS', 1.51, 0.09, '2018-03-01'],
  ['DGS10', 2.82, -0.01, '2018-03-23'],
  ['VIXCLS', 24.87, 1.53, '2018-03-23'],
  ['UNRATE', 4.1, 0, '2018-02-01'],
  ['GDP', 20_041.047, 212.1, '2017-10-01'],
].map(([series, value, change, period]) => ({
  series,
  value,
  change,
  period,
  previous_period: '2017-07-01',
  available_at: '2018-03-24T05:00:00Z',
}))

function look(kind: keyof typeof STATUS.models, state: string): object {
  const newest = { model_id: STATUS.models[kind], as_of: iso(NOW), session: '2018-03-23', state, action: '' }
  return { newest, report: null, episode: null, history: [newest] }
}

/** Everything that the page asks for. */
export const answer: Answer = ({ pathname, searchParams }) => {
  const [, first, ticker = '', what] = pathname.split('/')
  const index = Math.max(0, TICKERS.indexOf(ticker))
  if (first === 'drift')
    return { as_of: iso(NOW), lstm: look('lstm', 'degraded'), transformer: look('transformer', 'healthy') }
  if (first === 'macro') return { series: SERIES }
  if (first === 'data-quality') return { open_gaps: 0, gaps: [], total_findings: 0, findings: [] }
  if (first !== 'stocks') return undefined
  switch (what) {
    case 'historical':
      return { bars: bars(index), next_cursor: null }
    case 'predictions':
      return { predictions: predictionsOf(index, Number(searchParams.get('limit'))), next_cursor: null }
    case 'news':
      return { news: NEWS }
    default:
      return undefined
  }
}
