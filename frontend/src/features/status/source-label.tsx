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

/** The label in the header. */
export function SourceLabel({ status }: { status: Status }) {
  return (
    <span className={styles.source} data-source={status.source} data-testid="source">
      {describeSource(status)}
    </span>
  )
}
