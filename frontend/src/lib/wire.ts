import { z } from 'zod/mini'

/**
 * What the api sends, checked at the edge: whatever passes here is trusted everywhere else.
 * Names are the wire's; times become {@link EpochMs}; unknown fields are dropped.
 */

/** Milliseconds since 1970-01-01T00:00Z. */
export type EpochMs = number

/** A calendar day, `2026-10-01`. */
export type IsoDay = string

const time = z.pipe(
  z.iso.datetime({ offset: true }),
  z.transform((text) => Date.parse(text)),
)
const day = z.iso.date()
const price = z.number().check(z.positive())
const probability = z.number().check(z.gte(0), z.lte(1))
const nullable = <T extends z.core.$ZodType>(schema: T) => z._default(z.nullable(schema), null)

/** One bar; `time` is its START. `volume` in shares. */
export const barSchema = z.object({
  time,
  open: price,
  high: price,
  low: price,
  close: price,
  volume: z.number().check(z.gte(0)),
})

const opinionSchema = z
  .object({ model_id: z.string(), down: probability, neutral: probability, up: probability })
  .check(
    z.refine(({ down, neutral, up }) => Math.abs(down + neutral + up - 1) < 0.01, 'probabilities must add up to 1'),
  )

const classShares = z.object({ down: probability, neutral: probability, up: probability })

/** What the decision took from one model. Null: it has no calibration. */
const modelDecisionSchema = z.object({
  coverage: nullable(probability),
  /** The classes that its prediction set cannot rule out. */
  possible: nullable(z.array(z.enum(['up', 'neutral', 'down']))),
  /** How often each class came in its calibration. */
  base_rate: nullable(classShares),
  /** The direction that it holds for likelier than usual; null also when there is none. */
  lean: nullable(z.enum(['up', 'down'])),
  /** The move it expects before costs, bp of the price; a rise is positive. */
  expected_bps: nullable(z.number()),
})

/** How a recommendation came about. The page takes its words from here and from nowhere else. */
const decisionSchema = z.object({
  horizon_minutes: z.number().check(z.positive()),
  expires_at: time,
  headline: z.string(),
  models: z.object({ lstm: modelDecisionSchema, transformer: modelDecisionSchema }),
  /** Of a direction that was considered, after costs: the smaller of both models' values, bp of the price. */
  expected_bps: nullable(z.number()),
  /** Its lower confidence bound. */
  expected_bps_lower: nullable(z.number()),
  /** Buying and selling again, bp of the price. */
  cost_bps: z.number(),
  /** What stood in the way of a signal; null when nothing did. */
  blocked_by: nullable(z.string()),
})

/** How the rule that spoke has fared so far. */
const standingSchema = z.object({
  state: z.enum(['proven', 'unproven', 'losing']),
  /** Overlapping signals of a ticker are one. */
  bets: z.number().check(z.gte(0)),
  days: z.number().check(z.gte(0)),
  hit_rate: nullable(probability),
  mean_net_bps: nullable(z.number()),
  lower_bps: nullable(z.number()),
  upper_bps: nullable(z.number()),
  since: nullable(time),
  sentence: z.string(),
})

const recommendationSchema = z.object({
  action: z.enum(['buy', 'sell', 'hold']),
  reason: z.string(),
  abstained: z.boolean(),
  /** Null: stored before decisions were. */
  decision: nullable(decisionSchema),
  /** Null for a hold. */
  standing: nullable(standingSchema),
})

const timingSchema = z.object({
  wake_ms: z.number(),
  features_ms: z.number(),
  inference_ms: z.number(),
  total_ms: z.number(),
})

/** Whether it was made when nobody could have acted on it any more. */
const late = z._default(z.boolean(), false)

/** A row of a ticker's prediction history. */
export const verdictSchema = z.object({
  bar_time: time,
  as_of: time,
  lstm: opinionSchema,
  transformer: opinionSchema,
  recommendation: recommendationSchema,
  late,
})

const analysisFields = {
  ticker: z.string(),
  bar: barSchema,
  predictions: z.object({ lstm: opinionSchema, transformer: opinionSchema }),
  recommendation: recommendationSchema,
  as_of: time,
  late,
  timing: nullable(timingSchema),
}

/** The same verdict, fresh from the models: with its bar, its ticker and where the time went. */
const toAnalysis = (wire: z.infer<z.ZodMiniObject<typeof analysisFields>>): Analysis => ({
  ticker: wire.ticker,
  bar: wire.bar,
  bar_time: wire.bar.time,
  as_of: wire.as_of,
  lstm: wire.predictions.lstm,
  transformer: wire.predictions.transformer,
  recommendation: wire.recommendation,
  late: wire.late,
  timing: wire.timing,
})
const analysisSchema = z.pipe(z.object(analysisFields), z.transform(toAnalysis))

const stockSchema = z.object({
  ticker: z.string().check(z.minLength(1)),
  name: z.string(),
  sector: nullable(z.string()),
  price: nullable(price),
  price_time: nullable(time),
  previous_close: nullable(price),
  change: nullable(z.number()),
  change_percent: nullable(z.number()),
  analysis: z.unknown(),
})

const webAddress = z.pipe(
  z.string(),
  z.transform((text) => (/^https?:\/\//i.test(text) ? text : null)),
)

const sentimentSchema = z.object({
  model: z.string(),
  negative: probability,
  neutral: probability,
  positive: probability,
  score: z.number().check(z.gte(-1), z.lte(1)),
})

/** A story about a stock. Its words are a stranger's; a `url` that leads anywhere but to the web becomes null. */
export const storySchema = z.object({
  title: z.string().check(z.minLength(1)),
  publisher: nullable(z.string()),
  url: nullable(webAddress),
  published_at: time,
  first_seen_at: time,
  sources: z.array(z.string()),
  sentiment: nullable(sentimentSchema),
})

/** The newest figure of an economic series, in the series' own unit; `period` is its first day. */
export const seriesSchema = z.object({
  series: z.string().check(z.minLength(1)),
  period: day,
  value: z.number(),
  available_at: time,
  previous_period: nullable(day),
  change: nullable(z.number()),
})

/** Bars that are missing: `start` <= time < `end`. */
export const gapSchema = z.object({
  start: time,
  end: time,
  reason: z.string(),
  expected_bars: z.number().check(z.gte(0)),
  attempts: z.number().check(z.gte(0)),
})

/** A session whose bars look wrong; both numbers are in the check's unit. */
export const findingSchema = z.object({
  session: day,
  check: z.string(),
  observed: z.number(),
  expected: z.number(),
  detail: z.string(),
})

/** What the drift monitor found of a champion at its last look. */
export const driftLookSchema = z.object({
  model_id: z.string(),
  session: day,
  state: z.enum(['healthy', 'degraded', 'critical']),
})

const setupSchema = z.object({
  state: z.enum(['building', 'failed']),
  done: z.number().check(z.gte(0)),
  of: z.number().check(z.gte(0)),
  message: z.string(),
})

const progressSchema = z.object({
  message: z.string(),
  done: z.number().check(z.gte(0)),
  of: z.number().check(z.gte(0)),
  seconds_left: nullable(z.number().check(z.gte(0))),
})

const staleSchema = z.object({
  since: time,
  tickers: z.number().check(z.gte(0)),
  of: z.number().check(z.gte(0)),
  message: z.string(),
})

const statusSchema = z.object({
  phase: z.enum(['backfilling', 'training', 'running']),
  message: z.string(),
  source: z.enum(['live', 'simulated', 'replay']),
  /** What users must know of prices that are not the market's of today. */
  source_note: nullable(z.string()),
  market: z.enum(['open', 'closed']),
  next_open: nullable(time),
  /** When the last session that is over closed. */
  last_close: nullable(time),
  now: time,
  speed: z.number().check(z.positive()),
  models: z.object({ lstm: nullable(z.string()), transformer: nullable(z.string()) }),
  /** What a first start still compiles. */
  setup: nullable(setupSchema),
  /** The market's clock stands still, while models train. */
  paused: z._default(z.boolean(), false),
  /** How far what goes on now has come. */
  progress: nullable(progressSchema),
  /** The market is open and nobody sends prices. */
  stale: nullable(staleSchema),
  /** What the operator must know, a sentence each. */
  trouble: z._default(z.array(z.string()), []),
})

const seq = z.number().check(z.gte(0))
const snapshotSchema = z.object({
  type: z.literal('snapshot'),
  seq,
  as_of: time,
  disclaimer: z.string(),
  stocks: z.array(z.unknown()),
  status: statusSchema,
})
const priceSchema = z.object({
  type: z.literal('price'),
  seq,
  ticker: z.string(),
  time,
  price,
  change: nullable(z.number()),
  change_percent: nullable(z.number()),
  bar: nullable(barSchema),
})
const statusMessageSchema = z.object({ type: z.literal('status'), seq, status: statusSchema })
const analysisMessageSchema = z.pipe(
  z.object({ type: z.literal('analysis'), seq, ...analysisFields }),
  z.transform((wire) => ({ type: wire.type, seq: wire.seq, analysis: toAnalysis(wire) })),
)
const envelopeSchema = z.object({ type: z.string() })

export type Bar = z.infer<typeof barSchema>
export type Opinion = z.infer<typeof opinionSchema>
export type Recommendation = z.infer<typeof recommendationSchema>
export type Action = Recommendation['action']
export type Decision = z.infer<typeof decisionSchema>
export type ModelDecision = z.infer<typeof modelDecisionSchema>
export type Standing = z.infer<typeof standingSchema>
export type ClassName = keyof z.infer<typeof classShares>
export type Timing = z.infer<typeof timingSchema>
export type Verdict = z.infer<typeof verdictSchema>
export interface Analysis extends Verdict {
  ticker: string
  bar: Bar
  timing: Timing | null
}
export type Sentiment = z.infer<typeof sentimentSchema>
export type Story = z.infer<typeof storySchema>
export type Series = z.infer<typeof seriesSchema>
export type Gap = z.infer<typeof gapSchema>
export type Finding = z.infer<typeof findingSchema>
export type Stock = Omit<z.infer<typeof stockSchema>, 'analysis'> & { analysis: Analysis | null }
export type Status = z.infer<typeof statusSchema>
export type Source = Status['source']
export type DriftLook = z.infer<typeof driftLookSchema>
export type Setup = z.infer<typeof setupSchema>
export type Progress = z.infer<typeof progressSchema>
export type Snapshot = Omit<z.infer<typeof snapshotSchema>, 'stocks'> & { stocks: Stock[] }
export type PriceMessage = z.infer<typeof priceSchema>
export type AnalysisMessage = z.infer<typeof analysisMessageSchema>
export type StatusMessage = z.infer<typeof statusMessageSchema>
export type ServerMessage = Snapshot | PriceMessage | AnalysisMessage | StatusMessage

/** A reading of something received: what could be used, and in words what could not. */
export interface Reading<T> {
  value: T | null
  faults: string[]
}

function check<T extends z.ZodMiniType>(schema: T, data: unknown, what: string): Reading<z.infer<T>> {
  const result = z.safeParse(schema, data)
  if (result.success) return { value: result.data, faults: [] }
  const issue = result.error.issues[0]
  return { value: null, faults: [`${what}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? 'malformed'}`] }
}

/** Rows that pass; a malformed row is left out and named, never the whole answer. */
export function readRows<T extends z.ZodMiniType>(
  schema: T,
  rows: unknown[],
  what: string,
): { rows: z.infer<T>[]; faults: string[] } {
  const readings = rows.map((row, index) => check(schema, row, `${what} ${index}`))
  return {
    rows: readings.flatMap(({ value }) => (value === null ? [] : [value as z.infer<T>])),
    faults: readings.flatMap(({ faults }) => faults),
  }
}

function readStock(data: unknown): Reading<Stock> {
  const stock = check(stockSchema, data, 'stock')
  if (stock.value === null) return { value: null, faults: stock.faults }
  const { analysis: raw, ...fields } = stock.value
  if (raw === null || raw === undefined) return { value: { ...fields, analysis: null }, faults: [] }
  const analysis = check(analysisSchema, raw, `analysis of ${fields.ticker}`)
  return { value: { ...fields, analysis: analysis.value }, faults: analysis.faults }
}

function readSnapshot(data: unknown): Reading<Snapshot> {
  const snapshot = check(snapshotSchema, data, 'snapshot')
  if (snapshot.value === null) return { value: null, faults: snapshot.faults }
  const stocks = snapshot.value.stocks.map(readStock)
  return {
    value: { ...snapshot.value, stocks: stocks.flatMap(({ value }) => (value === null ? [] : [value])) },
    faults: stocks.flatMap(({ faults }) => faults),
  }
}

/** Reads one WebSocket message. Never throws; a type that is not known (yet) is a fault like any other. */
export function readMessage(text: unknown): Reading<ServerMessage> {
  if (typeof text !== 'string') return { value: null, faults: ['message: not text'] }
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    return { value: null, faults: ['message: not JSON'] }
  }
  const envelope = check(envelopeSchema, data, 'message')
  switch (envelope.value?.type) {
    case 'snapshot':
      return readSnapshot(data)
    case 'price':
      return check(priceSchema, data, 'price')
    case 'analysis':
      return check(analysisMessageSchema, data, 'analysis')
    case 'status':
      return check(statusMessageSchema, data, 'status')
    case undefined:
      return { value: null, faults: envelope.faults }
    default:
      return { value: null, faults: [`message: unknown type ${envelope.value?.type ?? ''}`] }
  }
}
