import { formatLift, formatProbability } from '@/lib/format'
import type { ClassName, ModelDecision, Verdict } from '@/lib/wire'

import styles from './analysis.module.css'
import { CLASS_LABEL, CLASSES } from './classes'

interface Props {
  /** The newest one; null without any. */
  verdict: Verdict | null
  /** There may be one that has not come yet. */
  loading: boolean
}

/** Both models side by side: bars that mirror each other where they agree, each with what is usual and what is ruled out. */
export function ModelsCard({ verdict, loading }: Props) {
  const models = verdict?.recommendation.decision?.models ?? null
  return (
    <section className="card" aria-labelledby="models-title" data-testid="models-card">
      <h2 id="models-title">Both models</h2>
      {verdict ? (
        <>
          <table className={styles.mirror} data-testid="probabilities">
            <thead>
              <tr>
                <th scope="col">LSTM</th>
                <th scope="col">
                  <span className="visually-hidden">Direction</span>
                </th>
                <th scope="col">Transformer</th>
              </tr>
            </thead>
            <tbody>
              {CLASSES.map((name) => (
                <tr key={name} data-class={name}>
                  <Probability
                    side="left"
                    model="lstm"
                    name={name}
                    value={verdict.lstm[name]}
                    decision={models?.lstm ?? null}
                  />
                  <th scope="row">{CLASS_LABEL[name]}</th>
                  <Probability
                    side="right"
                    model="transformer"
                    name={name}
                    value={verdict.transformer[name]}
                    decision={models?.transformer ?? null}
                  />
                </tr>
              ))}
            </tbody>
          </table>
          {models && (
            <p className={styles.legend}>
              Small: points above or below what is usual, the line. Struck out: ruled out.
            </p>
          )}
        </>
      ) : (
        <p className={styles.empty}>{loading ? 'Loading…' : 'No probabilities yet.'}</p>
      )}
    </section>
  )
}

interface ProbabilityProps {
  side: 'left' | 'right'
  model: string
  name: ClassName
  value: number
  /** Null of what was stored before decisions were. */
  decision: ModelDecision | null
}

function Probability({ side, model, name, value, decision }: ProbabilityProps) {
  const usual = decision?.base_rate?.[name] ?? null
  const ruledOut = decision?.possible != null && !decision.possible.includes(name)
  return (
    <td
      data-side={side}
      data-model={model}
      data-value={value}
      data-ruled-out={ruledOut}
      data-lean={decision?.lean === name}
    >
      <div className={styles.cell}>
        <span className={styles.number}>{formatProbability(value)}</span>
        <span className={styles.lift}>{usual !== null && formatLift(value, usual)}</span>
        <span className={styles.track} data-paints="" aria-hidden="true">
          <span data-paints="" style={{ width: `${value * 100}%` }} />
          {usual !== null && <i style={{ [side === 'left' ? 'right' : 'left']: `${usual * 100}%` }} />}
        </span>
        {ruledOut && <span className="visually-hidden">ruled out</span>}
      </div>
    </td>
  )
}
