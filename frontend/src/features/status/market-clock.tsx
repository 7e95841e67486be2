import { formatDay, formatDate, formatTime, formatTimeSeconds } from '@/lib/format'
import { marketNow } from '@/lib/market-clock'
import { useNow } from '@/lib/use-now'
import type { EpochMs, Status } from '@/lib/wire'

import styles from './status.module.css'

interface Props {
  status: Status
  receivedAt: EpochMs
  /** Without a connection the clock would only guess. */
  running: boolean
}

/** The market's state and its time in New York: today's, or that of the replayed day. */
export function MarketClock({ status, receivedAt, running }: Props) {
  const now = useNow(status.speed > 1 ? 200 : 500)
  const time = running ? marketNow(status, receivedAt, now) : status.now
  const { market, next_open, speed, source } = status
  return (
    <span className={styles.clock}>
      <span className={styles.market} data-market={market} data-testid="market">
        {market === 'open' ? 'Market open' : 'Market closed'}
        {market === 'closed' && next_open !== null && (
          <span className={styles.minor}>
            {' '}
            opens {formatDay(next_open)}, {formatTime(next_open)}
          </span>
        )}
      </span>
      <span className={styles.time} data-running={running}>
        <span className={styles.minor}>{source === 'live' ? formatDay(time) : formatDate(time)}</span>{' '}
        <time dateTime={new Date(time).toISOString()}>{(speed > 5 ? formatTime : formatTimeSeconds)(time)}</time>{' '}
        <span className={styles.minor}>New York</span>
      </span>
    </span>
  )
}
