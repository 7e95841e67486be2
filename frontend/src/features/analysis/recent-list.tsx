import { type ReactNode, useMemo, useState } from 'react'

import { ACTION_GLYPH, ACTION_LABEL, formatConfidence, formatDay, formatTime, newYorkDay } from '@/lib/format'
import type { Opinion, Verdict } from '@/lib/wire'

import styles from './analysis-panel.module.css'
import { topClass } from './classes'
import { type Run, runsOf } from './runs'

/** Rows shown; the chart's arrows tell of the rest. */
const MOST_SHOWN = 80

interface Props {
  verdicts: readonly Verdict[]
  state: 'loading' | 'ready' | 'error'
  message: string | null
  /** The card's heading, and what stands beside it. */
  title: ReactNode
}

/** Recent of the ticker, newest first: all, or only those to act. */
export function RecentList({ verdicts, state, message, title }: Props) {
  const [onlyActions, setOnlyActions] = useState(false)
  const shown = useMemo(() => {
    const runs = runsOf(verdicts)
    const wanted = onlyActions ? runs.filter(({ latest }) => latest.recommendation.action !== 'hold') : runs
    return wanted.slice(0, MOST_SHOWN)
  }, [verdicts, onlyActions])

  return (
    <section className={`card ${styles.recent}`} aria-label="Recent recommendations">
      <div className={styles.titleRow}>
        {title}
        <label className={styles.toggle}>
          <input
            type="checkbox"
            checked={onlyActions}
            onChange={(event) => {
              setOnlyActions(event.target.checked)
            }}
          />
          Buy and sell only
        </label>
      </div>
      {state === 'loading' && verdicts.length === 0 && (
        <p className={styles.empty} role="status">
          Loading…
        </p>
      )}
      {state === 'error' && (
        <p className={styles.empty} role="alert">
          {message}
        </p>
      )}
      {state === 'ready' && shown.length === 0 && (
        <p className={styles.empty}>{verdicts.length > 0 ? 'No buy or sell so far.' : 'None so far.'}</p>
      )}
      {shown.length > 0 && (
        <ol className={styles.list}>
          {shown.map((run, index) => {
            const newer = shown[index - 1]
            const otherDay = newer !== undefined && newYorkDay(newer.from) !== newYorkDay(run.from)
            return (
              <li key={run.from}>
                {otherDay && <div className={styles.day}>{formatDay(run.from)}</div>}
                <RecentRow run={run} />
              </li>
            )
          })}
        </ol>
      )}
    </section>
  )
}

function RecentRow({ run: { from, to, latest } }: { run: Run }) {
  const { action, confidence, abstained, reason } = latest.recommendation
  return (
    <div className={styles.recentRow} title={reason}>
      <span className={styles.span}>
        <time dateTime={new Date(from).toISOString()}>{formatTime(from)}</time>
        {to > from && (
          <>
            –<time dateTime={new Date(to).toISOString()}>{formatTime(to)}</time>
          </>
        )}
      </span>
      <span className="badge" data-action={action} data-abstained={abstained}>
        <span aria-hidden="true">{ACTION_GLYPH[action]} </span>
        {ACTION_LABEL[action]}
        <span className="visually-hidden">{abstained ? ', abstained' : ''}</span>
      </span>
      <span className={styles.recentConfidence}>{formatConfidence(confidence)}</span>
      <span className={styles.tops} aria-hidden="true">
        {describeTop(latest.lstm)} {describeTop(latest.transformer)}
      </span>
      <span className={styles.recentReason}>{reason}</span>
    </div>
  )
}

const CLASS_GLYPH = { up: '▲', neutral: '■', down: '▼' }

/** `▲51`: a model's most probable class and its probability in percent. */
function describeTop(opinion: Opinion): string {
  const top = topClass(opinion)
  return `${CLASS_GLYPH[top]}${Math.round(opinion[top] * 100)}`
}
