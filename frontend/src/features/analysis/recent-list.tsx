import { type ReactNode, useMemo, useState } from 'react'

import { formatDay, formatMoment, formatTime, newYorkDay } from '@/lib/format'
import type { Market } from '@/lib/market-clock'
import { SignalBadge } from '@/lib/signal-badge'
import type { Verdict } from '@/lib/wire'

import styles from './analysis.module.css'
import { type Run, runsOf } from './runs'

/** Rows shown; the chart's arrows tell of the rest. */
const MOST_SHOWN = 80

interface Props {
  verdicts: readonly Verdict[]
  /** Null until it is known. */
  market: Market | null
  state: 'loading' | 'ready' | 'error'
  message: string | null
  /** The card's heading, and what stands beside it. */
  title: ReactNode
}

/** What was said of the ticker lately, newest first: all, or only what was to act upon. */
export function RecentList({ verdicts, market, state, message, title }: Props) {
  const [onlyActions, setOnlyActions] = useState(false)
  const shown = useMemo(() => {
    const runs = runsOf(verdicts)
    const wanted = onlyActions ? runs.filter(({ latest }) => latest.recommendation.action !== 'hold') : runs
    return wanted.slice(0, MOST_SHOWN)
  }, [verdicts, onlyActions])
  const oldest = verdicts.at(-1)

  return (
    <section className={`card ${styles.recent}`} aria-label="Recent signals">
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
        <p className={styles.empty}>
          {oldest ? `None since ${formatMoment(oldest.bar_time, null)}.` : 'None so far.'}
        </p>
      )}
      {shown.length > 0 && (
        <div className={styles.scroll} role="region" aria-label="Recent signals, newest first" tabIndex={0}>
          <ol>
            {shown.map((run, index) => {
              const newer = shown[index - 1]
              const otherDay = newer !== undefined && newYorkDay(newer.from) !== newYorkDay(run.from)
              return (
                <li key={run.from}>
                  {otherDay && <div className={styles.day}>{formatDay(run.from)}</div>}
                  <RecentRow run={run} market={market} />
                </li>
              )
            })}
          </ol>
        </div>
      )}
    </section>
  )
}

function RecentRow({ run: { from, to, latest }, market }: { run: Run; market: Market | null }) {
  return (
    <div className={styles.recentRow}>
      <span className={styles.span}>
        <time dateTime={new Date(from).toISOString()}>{formatTime(from)}</time>
        {to > from && (
          <>
            –<time dateTime={new Date(to).toISOString()}>{formatTime(to)}</time>
          </>
        )}
      </span>
      <SignalBadge verdict={latest} market={market} />
      <span className={styles.recentReason}>
        {latest.late && 'Analysed late. '}
        {latest.recommendation.decision?.headline ?? latest.recommendation.reason}
      </span>
    </div>
  )
}
