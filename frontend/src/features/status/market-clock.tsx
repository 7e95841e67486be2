import { formatDate, formatDay, formatTime, formatTimeSeconds } from '@/lib/format'
import { type MarketClock as Clock, marketNow } from '@/lib/market-clock'
import { useClock } from '@/lib/use-now'
import type { Status } from '@/lib/wire'

import styles from './status.module.css'

interface Props {
  status: Status
  clock: Clock
  /** Without a connection the clock would only guess: it stands. */
  connected: boolean
}

/** The market's state and its time in New York: today's, or that of the replayed day. */
export function MarketClock({ status, clock, connected }: Props) {
  const { market, next_open, paused, speed, source } = status
  const format = speed > 5 ? formatTime : formatTimeSeconds
  const [often, day] = [speed > 1 ? 200 : 500, source === 'live' ? formatDay : formatDate]
  const time = useClock(often, (now) => format(marketNow(clock, now)), format(clock.time))
  const date = useClock(often, (now) => day(marketNow(clock, now)), day(clock.time))
  return (
    <span className={styles.clock}>
      <span className={styles.market} data-market={paused ? 'paused' : market} data-testid="market">
        {market === 'open' ? 'Market open' : 'Market closed'}
        {paused && ', standing still'}
        {market === 'closed' && next_open !== null && (
          <span className={styles.minor}>
            {' '}
            opens {formatDay(next_open)}, {formatTime(next_open)}
          </span>
        )}
      </span>
      <span className={styles.time} data-running={connected && !paused}>
        <span className={styles.minor}>{date}</span> <time data-testid="clock">{time}</time>{' '}
        <span className={styles.minor}>New York</span>
      </span>
    </span>
  )
}
