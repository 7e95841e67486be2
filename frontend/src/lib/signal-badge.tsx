import { DIRECTION_GLYPH } from './format'
import { describeSignal, isMuted, KIND_LABEL, signalOf, type Validity, valueOf } from './signal'
import type { Recommendation } from './wire'

interface Props {
  recommendation: Recommendation
  validity: Validity
  /** Its price is too old to go by. */
  stale?: boolean
}

/** A recommendation at a glance: `▲ Buy +6.2 bp`. */
export function SignalBadge({ recommendation, validity, stale = false }: Props) {
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
