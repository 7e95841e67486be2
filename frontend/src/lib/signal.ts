import { type Direction, formatBps, formatMoment } from './format'
import type { ClassName, Decision, EpochMs, ModelDecision, Recommendation, Standing, Status } from './wire'

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

/** Whether a signal still stands: until its horizon is over, and while there is a market to act in. */
export type Validity = 'valid' | 'expired' | 'closed'

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
    if (confirms(one) && one.lean !== null && (other.lean === null || other.lean === one.lean)) return one.lean
  }
  return 'flat'
}

/** Whether the model leans to a direction and rules the opposite one out. */
function confirms({ lean, possible }: ModelDecision): boolean {
  return lean !== null && possible !== null && !possible.includes(OPPOSITE[lean])
}

/** Null decisions are from before decisions were stored: when they expired is not known, and that it is long ago. */
export function validityOf(decision: Decision | null, market: Status['market'] | null, now: EpochMs | null): Validity {
  if (decision === null) return 'expired'
  if (now !== null && now >= decision.expires_at) return 'expired'
  return market === 'closed' ? 'closed' : 'valid'
}

/** Whether it must not stand out: it is over, or its like have lost money. */
export function isMuted({ standing }: Signal, validity: Validity): boolean {
  return validity !== 'valid' || standing === 'losing'
}

/** `+6.2 bp`, `expired`, or nothing: what stands beside the signal's label. */
export function valueOf({ kind, expectedBps }: Signal, validity: Validity): string {
  if (kind !== 'buy' && kind !== 'sell') return ''
  if (validity === 'expired') return 'expired'
  return expectedBps === null ? '' : formatBps(expectedBps)
}

const STANDING_WORDS: Record<Standing['state'], string> = {
  proven: 'such signals have earned so far',
  unproven: 'whether such signals earn is not proven',
  losing: 'such signals have lost so far, so this is no recommendation',
}

/** The whole badge in words. */
export function describeSignal(signal: Signal, validity: Validity): string {
  const { kind, expectedBps, standing } = signal
  if (kind === 'quiet') return 'Quiet'
  if (kind === 'watch') return `Watch: a model confirms a ${signal.direction === 'up' ? 'rise' : 'fall'}`
  return [
    KIND_LABEL[kind],
    ...(expectedBps === null ? [] : [`${formatBps(expectedBps)} expected after costs`]),
    ...(validity === 'expired' ? ['expired'] : validity === 'closed' ? ['the market is closed'] : []),
    ...(standing === null ? [] : [STANDING_WORDS[standing]]),
  ].join(', ')
}

/** `24 min left`, `until Tue 27 Mar, 09:50`, `expired at 10:01`: minutes of trading end with the session. */
export function describeExpiry({ expires_at }: Decision, now: EpochMs): string {
  const at = formatMoment(expires_at, now)
  if (now >= expires_at) return `expired at ${at}`
  const minutes = Math.ceil((expires_at - now) / 60_000)
  return minutes > 6 * 60 ? `until ${at}` : `${minutes} min left, until ${at}`
}
