import type { Status } from '@/lib/wire'

import type { ConnectionView } from './connection-badge'
import styles from './status.module.css'

const PHASE_TITLE = { backfilling: 'Backfilling', training: 'Training' }

interface Props {
  status: Status | null
  connection: ConnectionView
}

/** What everybody at the screen has to know now: no connection, or a system that is not ready. */
export function Notices({ status, connection }: Props) {
  const lost = connection.state === 'waiting' || connection.state === 'retrying'
  return (
    <>
      {lost && (
        <p className={styles.notice} data-kind="lost" role="alert" data-testid="lost">
          <strong>Not connected.</strong>{' '}
          {status
            ? 'Everything below is the last that was known and no longer moves.'
            : 'The api cannot be reached; is Tandem running?'}
        </p>
      )}
      {!lost && status && status.phase !== 'running' && (
        <p className={styles.notice} data-kind="phase" role="status" data-testid="phase">
          <span className={styles.progress} aria-hidden="true" />
          <strong>{PHASE_TITLE[status.phase]}</strong> {status.message}
        </p>
      )}
    </>
  )
}
