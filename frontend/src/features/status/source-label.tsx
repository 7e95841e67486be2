import { formatSpeed } from '@/lib/format'
import type { Status } from '@/lib/wire'

import styles from './status.module.css'

/** Where the prices come from, in words that cannot be mistaken. */
export function describeSource({ source, speed }: Pick<Status, 'source' | 'speed'>): string {
  const pace = speed === 1 ? '' : ` ${formatSpeed(speed)}`
  switch (source) {
    case 'live':
      return 'Live market'
    case 'simulated':
      return `Simulated market${pace}`
    case 'replay':
      return `Replay${pace}`
  }
}

const WARNING: Record<Exclude<Status['source'], 'live'>, string> = {
  simulated: 'Invented prices: no real company trades at them.',
  replay: 'Past prices, not the market of today.',
}

/** The label in the header. */
export function SourceLabel({ status }: { status: Status }) {
  return (
    <span className={styles.source} data-source={status.source} data-testid="source">
      {describeSource(status)}
      {status.source !== 'live' && <span className={styles.sourceNote}>{WARNING[status.source]}</span>}
    </span>
  )
}
