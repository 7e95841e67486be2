import { DIRECTION_GLYPH } from './format'
import type { Market } from './market-clock'
import { describeSignal, isMuted, KIND_LABEL, signalOf, valueOf } from './signal'
import { useValidity } from './use-validity'
import type { Verdict } from './wire'

interface Props {
  verdict: Verdict
  /** Null until it is known. */
  market: Market | null
  /** Its price is too old to go by. */
  stale?: boolean
}

/** A recommendation at a glance: `▲ Buy +6.2 bp`. */
export function SignalBadge({ verdict, market, stale = false }: Props) {
  const { recommendation } = verdict
  const validity = useValidity(verdict, market)
  const signal = signalOf(recommendation)
  const words = describeSignal(signal, validity)
  const glyph = DIRECTION_GLYPH[signal.direction]
  const value = valueOf(signal, validity)
  return (
    <span
      className="badge"
      data-kind={signal.kind}
      data-standing={signal.standing}
      data-muted={stale || isMuted(signal, validity)}
      role="img"
      aria-label={words}
      title={`${words}. ${recommendation.reason}`}
    >
      {glyph && `${glyph} `}
      {KIND_LABEL[signal.kind]} {value && <b>{value}</b>}
    </span>
  )
}
