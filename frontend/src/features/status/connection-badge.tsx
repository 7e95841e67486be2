import { formatAge } from '@/lib/format'
import { useClock } from '@/lib/use-now'

import styles from './status.module.css'

/** How the connection to the api stands, as the header needs to know it. Times are this machine's. */
export type ConnectionView =
  | { state: 'connecting' }
  | { state: 'open' }
  | { state: 'stale'; sinceMs: number }
  | { state: 'waiting'; attempt: number; retryAtMs: number }
  | { state: 'retrying'; attempt: number }

interface Props {
  connection: ConnectionView
  /** What the api sends cannot be read, so the connection is of no use. */
  unreadable: boolean
  onRetry: () => void
}

function describe(connection: ConnectionView, unreadable: boolean, now: number): string {
  switch (connection.state) {
    case 'connecting':
      return 'Connecting…'
    case 'open':
      return unreadable ? 'Cannot be read' : 'Connected'
    case 'stale':
      return `Silent for ${formatAge(now - connection.sinceMs)}`
    case 'waiting':
      return `Connection lost. Again in ${Math.max(0, Math.ceil((connection.retryAtMs - now) / 1000))} s`
    case 'retrying':
      return `Reconnecting, attempt ${connection.attempt}…`
  }
}

/** What is read out: not the seconds. */
const ANNOUNCED: Record<ConnectionView['state'], string> = {
  connecting: '',
  open: 'Connected',
  stale: 'Connected, but nothing comes',
  waiting: 'Connection lost, reconnecting',
  retrying: 'Connection lost, reconnecting',
}

/** The connection in a word, with the countdown to the next attempt. */
export function ConnectionBadge({ connection, unreadable, onRetry }: Props) {
  const words = useClock(250, (now) => describe(connection, unreadable, now), 'Connecting…')
  const { state } = connection
  return (
    <span className={styles.connection} data-state={unreadable ? 'unreadable' : state} data-testid="connection">
      <span className={styles.lamp} aria-hidden="true" />
      <span>{words}</span>
      {state === 'waiting' && (
        <button type="button" className={styles.retry} onClick={onRetry}>
          Now
        </button>
      )}
      <span className="visually-hidden" role="status">
        {unreadable ? '' : ANNOUNCED[state]}
      </span>
    </span>
  )
}
