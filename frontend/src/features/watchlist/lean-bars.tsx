import type { Analysis, Opinion } from '@/lib/wire'

import { lean } from './order'
import styles from './watchlist.module.css'

/** Both models' lean, one above the other: to the left falling, to the right rising. */
export function LeanBars({ analysis }: { analysis: Analysis | null }) {
  if (!analysis) return <span className={styles.missing}>–</span>
  const { lstm, transformer } = analysis
  return (
    <span
      className={styles.lean}
      role="img"
      aria-label={`LSTM ${describeLean(lstm)}, Transformer ${describeLean(transformer)}`}
      title={`LSTM ${describeLean(lstm)}\nTransformer ${describeLean(transformer)}`}
    >
      <LeanBar opinion={lstm} />
      <LeanBar opinion={transformer} />
    </span>
  )
}

function describeLean(opinion: Opinion): string {
  const points = Math.round(lean(opinion) * 100)
  if (points === 0) return 'balanced'
  return `leans ${points > 0 ? 'up' : 'down'} by ${Math.abs(points)} points`
}

/** Leans beyond this fill the bar: a confirmed recommendation needs about as much. */
const FULL_LEAN = 0.3

function LeanBar({ opinion }: { opinion: Opinion }) {
  const value = lean(opinion)
  const width = Math.min(1, Math.abs(value) / FULL_LEAN) * 50
  return (
    <span className={styles.leanTrack}>
      <span
        data-direction={value >= 0 ? 'up' : 'down'}
        style={{ width: `${width}%`, [value >= 0 ? 'left' : 'right']: '50%' }}
      />
    </span>
  )
}
