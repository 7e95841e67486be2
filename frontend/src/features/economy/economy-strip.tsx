import { formatDateTime } from '@/lib/format'
import { StaleNote } from '@/lib/stale-note'
import type { Series, Source } from '@/lib/wire'

import { useEconomy } from './economy'
import styles from './economy-strip.module.css'
import { formatKnownSince, formatPeriod, formatSeriesChange, formatValue, labelOf } from './series'

/** The state of the economy in a line: each series' newest figure and since when it could be known. */
export function EconomyStrip({ snapshots, source }: { snapshots: number; source: Source | null }) {
  const economy = useEconomy(snapshots)
  const series = economy.value ?? []
  return (
    <section className={styles.strip} aria-labelledby="economy-title" data-testid="economy">
      <h2 id="economy-title">Economy</h2>
      {economy.value === null && (
        <p className={styles.empty} role="status">
          {economy.failure ?? 'Loading…'}
        </p>
      )}
      {economy.value !== null && series.length === 0 && (
        <p className={styles.empty}>
          {source === 'replay'
            ? 'This replay was given no figures of the economy.'
            : 'No figures yet: they appear here when they have been fetched.'}
        </p>
      )}
      {series.length > 0 && (
        <div
          className={styles.scroll}
          role="region"
          aria-label="Figures of the economy"
          tabIndex={0}
          data-scrolls-sideways=""
        >
          <ol className={styles.list}>
            {series.map((figure) => (
              <Figure key={figure.series} figure={figure} />
            ))}
          </ol>
        </div>
      )}
      <StaleNote polled={economy} />
    </section>
  )
}

function Figure({ figure }: { figure: Series }) {
  const change = formatSeriesChange(figure)
  const before = figure.previous_period === null ? '' : `; change since ${formatPeriod(figure, figure.previous_period)}`
  return (
    <li title={`${figure.series} at FRED${before}; known since ${formatDateTime(figure.available_at)} in New York`}>
      <p className={styles.figure}>
        <span className={styles.label}>{labelOf(figure)}</span> <strong>{formatValue(figure)}</strong>
        {change !== null && <span className={styles.change}> {change}</span>}
      </p>
      <p className={styles.facts}>
        <span>{formatPeriod(figure)},</span>{' '}
        <span>
          known since <time dateTime={new Date(figure.available_at).toISOString()}>{formatKnownSince(figure)}</time>
        </span>
      </p>
    </li>
  )
}
