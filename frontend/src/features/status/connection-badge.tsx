import { formatAge } from '@/lib/format'
import { useNow } from '@/lib/use-now'

import styles from './status.module.css'

/** How the connection to the api stands, as the header needs to know it. Times are this machine's. */
export type ConnectionView =
  | { state: 'connecting' }
  | { state: 'open' }
  | { state: 'stale'; sinceMs: number }
  | { state: 'waiting'; attempt: number; retryAtMs: number }
  | { state: 'retrying'; attempt: number }

function describe(connection: ConnectionView, now: number): string {
  switch (connection.state) {
    case 'connecting':
      return 'Connecting…'
    case 'open':
      return 'Connected'
    case 'stale':
      return `Silent for ${formatAge(now - connection.sinceMs)}`
    case 'waiting':
      return `Connection lost. Again in ${Math.max(0, Math.ceil((connection.retryAtMs - now) / 1000))} s`
    case 'retrying':
      return `Reconnecting, attempt ${connection.attempt}…`
  }
}

/** The connection in a word, with the countdown to the next attempt. */
export function ConnectionBadge({ connection, onRetry }: { connection: ConnectionView; onRetry: () => void }) {
  const now = useNow(250)
  return (
    <span className={styles.connection} data-state={connection.state} data-testid="connection">
      <span className={styles.lamp} aria-hidden="true" />
      <span>{describe(connection, now)}</span>
      {connection.state === 'waiting' && (
        <button type="button" className={styles.retry} onClick={onRetry}>
          Now
        </button>
      )}
      {/* The countdown is not read out each second. */}
      <span className="visually-hidden" role="status">
        {connection.state === 'open'
          ? 'Connected'
          : connection.state === 'connecting'
            ? ''
            : 'Connection lost, reconnecting'}
      </span>
    </span>
  )
}
