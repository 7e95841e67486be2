import { formatLift } from '@/lib/format'
import type { Analysis } from '@/lib/wire'

import { liftOf } from './order'
import styles from './watchlist.module.css'

/** Both models' lift over the usual probability, one above the other: to the left for a fall, to the right for a rise. */
export function LiftBars({ analysis }: { analysis: Analysis | null }) {
  const decision = analysis?.recommendation.decision ?? null
  if (analysis === null || decision === null) return <span className={styles.missing}>–</span>
  const lstm = liftOf(analysis.lstm, decision.models.lstm)
  const transformer = liftOf(analysis.transformer, decision.models.transformer)
  const words = `LSTM ${describeLift(lstm)}, Transformer ${describeLift(transformer)}`
  return (
    <span className={styles.lift} role="img" aria-label={words} title={words}>
      <LiftBar value={lstm} />
      <LiftBar value={transformer} />
    </span>
  )
}

function describeLift(lift: number | null): string {
  if (lift === null) return 'is not calibrated'
  if (lift === 0) return 'does not lean'
  return `leans to a ${lift > 0 ? 'rise' : 'fall'}, ${formatLift(Math.abs(lift), 0)} points over the usual probability`
}

/** A lift beyond this fills the bar: models of minutes find two or three points. */
const FULL_LIFT = 0.1

function LiftBar({ value }: { value: number | null }) {
  const width = Math.min(1, Math.abs(value ?? 0) / FULL_LIFT) * 50
  return (
    <span className={styles.liftTrack} data-paints="">
      {value !== null && value !== 0 && (
        <span
          data-paints=""
          data-direction={value > 0 ? 'up' : 'down'}
          style={{ width: `${width}%`, [value > 0 ? 'left' : 'right']: '50%' }}
        />
      )}
    </span>
  )
}
