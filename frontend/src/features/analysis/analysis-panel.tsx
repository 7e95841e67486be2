import {
  ACTION_GLYPH,
  ACTION_LABEL,
  CONFIDENCE_LABEL,
  formatConfidence,
  formatMilliseconds,
  formatProbability,
  formatTime,
  formatDay,
  newYorkDay,
} from '@/lib/format'
import type { Analysis, EpochMs, Verdict } from '@/lib/wire'

import styles from './analysis-panel.module.css'
import { type ClassName, CLASSES, topClass } from './classes'

const CLASS_LABEL: Record<ClassName, string> = { up: '▲ Up', neutral: 'Neutral', down: '▼ Down' }

interface RecommendationProps {
  /** The newest one; null without any. */
  verdict: Verdict | null
  /** The same with where the time went; null for one from history. */
  analysis: Analysis | null
  /** The market's time; null while it is not known. */
  now: EpochMs | null
  /** There may be one that has not come yet. */
  loading: boolean
  /** How the system is, for the time without any; null while that is not known. */
  state: string | null
}

/** What is recommended now, and why. */
export function RecommendationCard({ verdict, analysis, now, loading, state }: RecommendationProps) {
  if (!verdict) {
    return (
      <section className="card" aria-labelledby="recommendation-title">
        <h2 id="recommendation-title">Recommendation</h2>
        <p className={styles.empty} role="status">
          {loading ? 'Loading…' : state === null ? 'None yet.' : `None yet. ${state}.`}
        </p>
      </section>
    )
  }
  const { action, confidence, reason, abstained } = verdict.recommendation
  const timing = analysis?.timing ?? null
  return (
    <section className="card" aria-labelledby="recommendation-title">
      <h2 id="recommendation-title">Recommendation</h2>
      <p className={styles.headline} data-action={action} data-abstained={abstained} data-testid="recommendation">
        <strong>
          {ACTION_GLYPH[action] && <span aria-hidden="true">{ACTION_GLYPH[action]} </span>}
          {ACTION_LABEL[action]}
        </strong>
        <span className={styles.confidence}>
          {formatConfidence(confidence)} <small>{CONFIDENCE_LABEL[action]}</small>
        </span>
      </p>
      <p className={styles.reason}>{reason}</p>
      <dl className={styles.facts}>
        <dt>Decision</dt>
        <dd>
          {abstained ? 'abstained: not confirmed' : action === 'hold' ? 'nothing expected' : 'confirmed by both models'}
        </dd>
        <dt>Made</dt>
        <dd>
          {momentOf(verdict.as_of, now)}{' '}
          <span className={styles.minor}>on the bar of {formatTime(verdict.bar_time)}</span>
        </dd>
        {timing && (
          <>
            <dt>Took</dt>
            <dd
              title={`reading ${formatMilliseconds(timing.wake_ms)}, features ${formatMilliseconds(timing.features_ms)}, models ${formatMilliseconds(timing.inference_ms)}`}
            >
              {formatMilliseconds(timing.total_ms)}{' '}
              <span className={styles.minor}>models {formatMilliseconds(timing.inference_ms)}</span>
            </dd>
          </>
        )}
      </dl>
    </section>
  )
}

/** Both models side by side: bars that mirror each other where they agree. */
export function ModelsCard({ verdict, loading }: Pick<RecommendationProps, 'verdict' | 'loading'>) {
  return (
    <section className="card" aria-labelledby="models-title">
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
                    value={verdict.lstm[name]}
                    top={topClass(verdict.lstm) === name}
                  />
                  <th scope="row">{CLASS_LABEL[name]}</th>
                  <Probability
                    side="right"
                    model="transformer"
                    value={verdict.transformer[name]}
                    top={topClass(verdict.transformer) === name}
                  />
                </tr>
              ))}
            </tbody>
          </table>
          <p className={styles.agreement}>{describeAgreement(verdict)}</p>
          <dl className={styles.ids}>
            <dt>LSTM</dt>
            <dd title={verdict.lstm.model_id}>{verdict.lstm.model_id}</dd>
            <dt>Transformer</dt>
            <dd title={verdict.transformer.model_id}>{verdict.transformer.model_id}</dd>
          </dl>
        </>
      ) : (
        <p className={styles.empty}>{loading ? 'Loading…' : 'No probabilities yet.'}</p>
      )}
    </section>
  )
}

function describeAgreement({ lstm, transformer }: Verdict): string {
  const [left, right] = [topClass(lstm), topClass(transformer)]
  const said: Record<ClassName, string> = { up: 'a rise', neutral: 'no clear move', down: 'a fall' }
  return left === right ? `Both expect ${said[left]}.` : `They differ: ${said[left]} and ${said[right]}.`
}

interface ProbabilityProps {
  side: 'left' | 'right'
  model: string
  value: number
  top: boolean
}

function Probability({ side, model, value, top }: ProbabilityProps) {
  return (
    <td data-side={side} data-top={top} data-model={model} data-value={value}>
      <div className={styles.cell}>
        <span className={styles.number}>{formatProbability(value)}</span>
        <span className={styles.track} aria-hidden="true">
          <span style={{ width: `${value * 100}%` }} />
        </span>
      </div>
    </td>
  )
}

/** `09:31`, with the day when that is not today. */
function momentOf(time: EpochMs, now: EpochMs | null): string {
  return now !== null && newYorkDay(now) === newYorkDay(time)
    ? formatTime(time)
    : `${formatDay(time)}, ${formatTime(time)}`
}
