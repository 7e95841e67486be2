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

const recommendationSchema = z.object({
  action: z.enum(['buy', 'sell', 'hold']),
  confidence: probability,
  reason: z.string(),
  abstained: z.boolean(),
})

const timingSchema = z.object({
  wake_ms: z.number(),
  features_ms: z.number(),
  inference_ms: z.number(),
  total_ms: z.number(),
})

/** A row of a ticker's prediction history. */
export const verdictSchema = z.object({
  bar_time: time,
  as_of: time,
  lstm: opinionSchema,
  transformer: opinionSchema,
  recommendation: recommendationSchema,
})

const analysisFields = {
  ticker: z.string(),
  bar: barSchema,
  predictions: z.object({ lstm: opinionSchema, transformer: opinionSchema }),
  recommendation: recommendationSchema,
  as_of: time,
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

const setupSchema = z.object({
  state: z.enum(['building', 'failed']),
  done: z.number().check(z.gte(0)),
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
  now: time,
  speed: z.number().check(z.positive()),
  models: z.object({ lstm: nullable(z.string()), transformer: nullable(z.string()) }),
  /** What a first start still compiles. */
  setup: nullable(setupSchema),
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
export type Setup = z.infer<typeof setupSchema>
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
