import type { Status } from '@/lib/wire'

import type { ConnectionView } from './connection-badge'
import { SetupNotice } from './setup-notice'
import styles from './status.module.css'

interface Props {
  status: Status | null
  connection: ConnectionView
}

/** What everybody at the screen has to know now: prices that are not today's, no connection, a system that is not ready. */
export function Notices({ status, connection }: Props) {
  const lost = connection.state === 'waiting' || connection.state === 'retrying'
  return (
    <>
      {status?.source_note && (
        <p className={styles.sourceNote} data-source={status.source} data-testid="source-note">
          {status.source_note}
        </p>
      )}
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
          {status.setup?.state !== 'failed' && <span className={styles.progress} aria-hidden="true" />}
          {status.message}
        </p>
      )}
      {!lost && status?.setup && <SetupNotice setup={status.setup} />}
    </>
  )
}
