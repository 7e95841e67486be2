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
/** Minutes that have closed: Friday's and today's. */
export const MINUTES = 390 + 90
export const lastPrice = (index: number) => Number(priceAt(index, MINUTES - 1).toFixed(2))

export function barAt(index: number, minute: number) {
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

const ANYTHING = ['down', 'neutral', 'up']
const COST_BPS = 4

function decision(fields: object) {
  return {
    horizon_minutes: 30,
    expires_at: iso(NOW + 24 * MINUTE_MS),
    headline: 'Neither model leans',
    models: {
      lstm: model(null, ANYTHING, 0.1),
      transformer: model(null, ANYTHING, -0.2),
    },
    expected_bps: null,
    expected_bps_lower: null,
    cost_bps: COST_BPS,
    blocked_by: 'no_lean',
    ...fields,
  }
}

function standing(state: string, sentence: string, fields: object) {
  const numbers = { bets: 429, days: 9, hit_rate: 0.28, mean_net_bps: -1.7, lower_bps: -2.6, upper_bps: -0.8 }
  return { state, ...numbers, since: iso(FRIDAY_OPEN), sentence, ...fields }
}

const up = model('up', ['neutral', 'up'], 12.4)
const still = model(null, ['neutral'], 0.1)

/** A direction that both models confirm, in the words of crates/domain/src/decision.rs. */
function confirmed(action: 'buy' | 'sell', bps: number, lower: number, standing: { state: string; sentence: string }) {
  const lean = action === 'buy' ? 'up' : 'down'
  const [side, opposite] = action === 'buy' ? ['rise', 'fall'] : ['fall', 'rise']
  const possible = ANYTHING.filter((name) => name === 'neutral' || name === lean)
  const sign = lean === 'up' ? 1 : -1
  const loses = standing.state === 'losing'
  return {
    action,
    abstained: false,
    reason: `Both models lean to a ${side} and rule out a ${opposite} at 80 % coverage. Over 30 minutes of trading the smaller of their expected values is ${bps.toFixed(1)} bp after costs of 4.0 bp, with a lower bound of ${lower.toFixed(1)} bp.${loses ? ` It is no recommendation while its rule is losing: ${standing.sentence}` : ''}`,
    decision: decision({
      headline: loses ? `No recommendation: ${action}s are losing` : `Both models rule out a ${opposite}`,
      models: {
        lstm: model(lean, possible, sign * (bps + COST_BPS + 2.2)),
        transformer: model(lean, possible, sign * (bps + COST_BPS)),
      },
      expected_bps: bps,
      expected_bps_lower: lower,
      blocked_by: null,
    }),
    standing,
  }
}

function hold(reason: string, fields: object) {
  return { action: 'hold', abstained: true, reason, decision: decision(fields), standing: null }
}

/** What can be said of a stock. */
export const RECOMMENDATIONS = {
  buy: confirmed(
    'buy',
    6.2,
    1.4,
    standing('proven', '212 bets on 9 days: 57 % hit, 2.3 bp each after costs.', {
      bets: 212,
      hit_rate: 0.57,
      mean_net_bps: 2.3,
      lower_bps: 0.4,
      upper_bps: 4.1,
    }),
  ),
  losing: confirmed(
    'sell',
    0.8,
    0.1,
    standing('losing', '429 bets on 9 days: 28 % hit, -1.7 bp each after costs.', {}),
  ),
  watch: hold(
    'The LSTM leans to a rise and rules out a fall, the Transformer leans to neither side and rules out neither direction, at 80 % coverage.',
    { headline: 'Only the LSTM leans to a rise', models: { lstm: up, transformer: model(null, ANYTHING, 0.4) } },
  ),
  quiet: hold('Both models lean to neither side and rule out neither direction at 80 % coverage.', {}),
  // Sells are losing: of one rule there is one standing.
  unproven: confirmed(
    'buy',
    2.1,
    0.3,
    standing('unproven', '6 bets on 1 day: 50 % hit, 0.4 bp each after costs.', {
      bets: 6,
      days: 1,
      lower_bps: null,
      upper_bps: null,
    }),
  ),
}

/** Holds at the edges of what the page calls a watch. */
export const HOLDS = {
  cost: hold(
    'Both models lean to a rise and rule out a fall at 80 % coverage, but the move does not surely pay the round-trip cost of 4.0 bp: after it the smaller of their expected values is 8.4 bp, with a lower bound of -0.4 bp.',
    {
      headline: 'Too little after costs',
      models: { lstm: up, transformer: up },
      expected_bps: 8.4,
      expected_bps_lower: -0.4,
      blocked_by: 'cost',
    },
  ),
  oppositePossible: hold(
    'The LSTM leans to a rise and rules out a fall, the Transformer leans to a rise and rules out neither direction, at 80 % coverage.',
    {
      headline: 'A fall cannot be ruled out',
      models: { lstm: up, transformer: model('up', ANYTHING, 9.5) },
      blocked_by: 'opposite_possible',
    },
  ),
  ruledOut: hold(
    'The LSTM leans to a rise and rules out a fall, the Transformer leans to neither side and rules out a rise and a fall, at 80 % coverage.',
    { headline: 'Only the LSTM leans to a rise', models: { lstm: up, transformer: still } },
  ),
  disagree: hold(
    'The LSTM leans to a rise and rules out a fall, the Transformer leans to a fall and rules out a rise, at 80 % coverage.',
    {
      headline: 'The models disagree',
      models: { lstm: up, transformer: model('down', ['down', 'neutral'], -9.1) },
      blocked_by: 'models_disagree',
    },
  ),
}
export type Said = keyof typeof RECOMMENDATIONS
const SAID = Object.keys(RECOMMENDATIONS) as Said[]
/** Which stock it is said of first. */
export const tickerThat = (said: Said) => TICKERS[SAID.indexOf(said)] ?? ''

/** What is said of the stock with this number. */
export const saidOf = (index: number) => RECOMMENDATIONS[SAID[index % SAID.length] ?? 'quiet']

/** As much of a recommendation as the stand-in reads itself. */
interface Told {
  action: string
  decision: object | null
}

/** What is said of a stock after a minute. */
export function analysis(index: number, recommendation: Told, minute = MINUTES - 1) {
  const bar = barAt(index, minute)
  const said = neutralOnTop[recommendation.action === 'sell' ? 'down' : 'up']
  return {
    ticker: TICKERS[index],
    bar,
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
    as_of: iso(Date.parse(bar.time) + MINUTE_MS + 412),
    late: false,
    timing: { wake_ms: 0.2, features_ms: 0.1, inference_ms: 3.1, total_ms: 4.2 },
  }
}

export const DISCLAIMER =
  'Tandem is a statistical model, not investment advice. Its probabilities can be wrong and past results promise nothing; you can lose money. Decide for yourself.'

export function stock(index: number, fields: object = {}) {
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
    analysis: analysis(index, saidOf(index)),
    ...fields,
  }
}

/** The stock with something else said of it. */
export function stockSaying(index: number, recommendation: Told) {
  return stock(index, { analysis: analysis(index, recommendation) })
}

export const STATUS = {
  phase: 'running',
  message: 'All 20 stocks are analysed with every closed minute',
  source: 'live',
  source_note: null,
  market: 'open',
  next_open: null,
  last_close: '2018-03-23T20:00:00Z',
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

/** An analysis as the api's history has it. */
export function stored({ predictions, bar, ...rest }: ReturnType<typeof analysis>) {
  return { ...rest, ...predictions, bar_time: bar.time }
}

/** What was said of a stock, the newest first: something else every seven minutes, each over after its half hour. */
function predictionsOf(index: number, limit: number): object[] {
  return Array.from({ length: Math.min(limit, 90) }, (_, row) => {
    const said = saidOf(index + Math.floor(row / 7))
    const decision = { ...said.decision, expires_at: iso(NOW + (24 - row) * MINUTE_MS) }
    return stored(analysis(index, { ...said, decision }, MINUTES - 1 - row))
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
