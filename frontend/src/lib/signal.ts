import { type Direction, formatBps, formatMoment } from './format'
import type { Market } from './market-clock'
import type { Analysis, ClassName, Decision, EpochMs, ModelDecision, Recommendation, Standing, Verdict } from './wire'

/** What a recommendation comes to at a glance. A watch: one model confirms a direction and nothing speaks against it. */
export type SignalKind = 'buy' | 'sell' | 'watch' | 'quiet'

export interface Signal {
  kind: SignalKind
  direction: Direction
  /** After costs, bp of the price; null of what is not to act upon. */
  expectedBps: number | null
  /** How its rule has fared; null of what is not to act upon. */
  standing: Standing['state'] | null
}

/**
 * Whether a signal still stands: if it could be acted on at all, until its horizon is over, while there is a connection
 * to learn what follows, and while there is a market to act in.
 */
export type Validity = 'valid' | 'late' | 'expired' | 'unknown' | 'closed'

export const KIND_LABEL: Record<SignalKind, string> = { buy: 'Buy', sell: 'Sell', watch: 'Watch', quiet: 'Quiet' }

const OPPOSITE: Record<'up' | 'down', ClassName> = { up: 'down', down: 'up' }

/** Read from the decision alone, so that no word on the page can contradict it. */
export function signalOf({ action, decision, standing }: Recommendation): Signal {
  if (action === 'hold') {
    const direction = decision === null ? 'flat' : watchedDirection(decision)
    return { kind: direction === 'flat' ? 'quiet' : 'watch', direction, expectedBps: null, standing: null }
  }
  return {
    kind: action,
    direction: action === 'buy' ? 'up' : 'down',
    expectedBps: decision?.expected_bps ?? null,
    standing: standing?.state ?? null,
  }
}

function watchedDirection({ models: { lstm, transformer } }: Decision): Direction {
  for (const [one, other] of [
    [lstm, transformer],
    [transformer, lstm],
  ] as const) {
    if (one.lean === null || !confirms(one)) continue
    const agrees = other.lean === null || other.lean === one.lean
    if (agrees && (other.possible === null || other.possible.includes(one.lean))) return one.lean
  }
  return 'flat'
}

/** Whether the model leans to a direction and rules the opposite one out. */
function confirms({ lean, possible }: ModelDecision): boolean {
  return lean !== null && possible !== null && !possible.includes(OPPOSITE[lean])
}

/** Null decisions are from before decisions were stored: when they expired is not known, and that it is long ago. */
export function validityOf(
  { recommendation: { decision }, late }: Pick<Verdict, 'recommendation' | 'late'>,
  market: Pick<Market, 'market' | 'connected'> | null,
  at: EpochMs | null,
): Validity {
  if (late) return 'late'
  if (decision === null || (at !== null && at >= decision.expires_at)) return 'expired'
  if (market?.connected === false) return 'unknown'
  return market?.market === 'closed' ? 'closed' : 'valid'
}

/** Whether it must not stand out: it is over, or its like have lost money. */
export function isMuted({ standing }: Signal, validity: Validity): boolean {
  return validity !== 'valid' || standing === 'losing'
}

/** `+6.2 bp`, `expired`, `late`, or nothing: what stands beside the signal's label. */
export function valueOf({ kind, expectedBps }: Signal, validity: Validity): string {
  if (kind === 'quiet') return ''
  if (validity === 'expired' || validity === 'late') return validity
  return expectedBps === null ? '' : formatBps(expectedBps)
}

const STANDING_WORDS: Record<Standing['state'], string> = {
  proven: 'such signals have earned so far',
  unproven: 'whether such signals earn is not proven',
  losing: 'such signals have lost so far, so this is no recommendation',
}

const VALIDITY_WORDS: Record<Validity, string | null> = {
  valid: null,
  late: 'analysed late',
  expired: 'expired',
  unknown: 'whether it still counts is not known without a connection',
  closed: 'the market is closed',
}

/** The whole badge in words. */
export function describeSignal(signal: Signal, validity: Validity): string {
  const { kind, direction, expectedBps, standing } = signal
  if (kind === 'quiet') return validity === 'late' ? 'Quiet, analysed late' : 'Quiet'
  const parts = [
    kind === 'watch' ? `Watch: a model confirms a ${direction === 'up' ? 'rise' : 'fall'}` : KIND_LABEL[kind],
    expectedBps === null ? null : `${formatBps(expectedBps)} expected after costs`,
    VALIDITY_WORDS[validity],
    standing === null ? null : STANDING_WORDS[standing],
  ]
  return parts.filter((part) => part !== null).join(', ')
}

/** `24 min left, until 11:24`, `expired at 10:01`: until when it counts. Minutes of trading end with the session. */
export function describeValidity(decision: Decision | null, validity: Validity, at: EpochMs): string {
  if (validity === 'late') return 'never: analysed late'
  if (decision === null) return 'expired: it was stored by an earlier version'
  const end = formatMoment(decision.expires_at, at)
  const minutes = Math.ceil((decision.expires_at - at) / 60_000)
  const left = minutes > 6 * 60 ? `until ${end}` : `${minutes} min left, until ${end}`
  switch (validity) {
    case 'expired':
      return `expired at ${end}`
    case 'unknown':
      return `not known without a connection; until ${end}`
    case 'closed':
      return `not now: the market is closed; ${left}`
    case 'valid':
      return left
  }
}

/**
 * The verdicts, each signal beside the standing of its rule now where that is losing: the newest analyses tell it of
 * the same models and the same direction.
 */
export function besideLosses(
  verdicts: readonly Verdict[],
  stocks: readonly { analysis: Analysis | null }[],
): readonly Verdict[] {
  const ruleOf = ({ lstm, transformer, recommendation: { action } }: Verdict) =>
    `${lstm.model_id} ${transformer.model_id} ${action}`
  const losses = new Map<string, Standing>()
  for (const { analysis } of stocks) {
    const standing = analysis?.recommendation.standing
    if (analysis && standing?.state === 'losing') losses.set(ruleOf(analysis), standing)
  }
  if (losses.size === 0) return verdicts
  return verdicts.map((verdict) => {
    const standing = losses.get(ruleOf(verdict))
    return standing ? { ...verdict, recommendation: { ...verdict.recommendation, standing } } : verdict
  })
}
