import { formatCountdown } from '@/lib/format'
import type { Progress, Status } from '@/lib/wire'

import type { ConnectionView } from './connection-badge'
import { SetupNotice } from './setup-notice'
import styles from './status.module.css'

interface Props {
  status: Status | null
  connection: ConnectionView
  /** Something came and not even the first message could be read. */
  unreadable: boolean
  /** A ticker that the address named in vain. */
  notWatched?: string | null
}

/**
 * What everybody at the screen has to know now: prices that are not today's, no connection, a market that is silent, a
 * system that is not ready or has trouble.
 */
export function Notices({ status, connection, unreadable, notWatched = null }: Props) {
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
      {!lost && unreadable && (
        <p className={styles.notice} data-kind="lost" role="alert" data-testid="unreadable">
          <strong>Nothing can be shown.</strong> What the api sends cannot be read: it is of another version than this
          page. Reload the page.
        </p>
      )}
      {notWatched !== null && (
        <p className={styles.notice} data-kind="phase" role="status" data-testid="not-watched">
          <strong>{notWatched}</strong> is not watched.
        </p>
      )}
      {!lost && status && <StatusNotices status={status} />}
    </>
  )
}

function StatusNotices({ status }: { status: Status }) {
  const { phase, message, progress, setup, stale, trouble } = status
  return (
    <>
      {stale && (
        <p className={styles.notice} data-kind="lost" role="alert" data-testid="stale">
          <strong>{stale.message}.</strong>
        </p>
      )}
      {trouble.map((sentence) => (
        <p key={sentence} className={styles.notice} data-kind="failed" role="status" data-testid="trouble">
          {sentence}
        </p>
      ))}
      {(phase !== 'running' || progress) && (
        <div className={styles.notice} data-kind="phase" data-testid="phase">
          {progress ? (
            <ProgressBar progress={progress} />
          ) : (
            setup?.state !== 'failed' && <span className={styles.progress} aria-hidden="true" />
          )}
          <p role="status">{phase === 'running' ? progress?.message : message}</p>
          {progress && (
            // Not read out every few seconds.
            <p className={styles.minor}>
              {phase !== 'running' && progress.message}
              {progress.seconds_left !== null && ` ${formatCountdown(progress.seconds_left)} left`}
            </p>
          )}
        </div>
      )}
      {setup && <SetupNotice setup={setup} />}
    </>
  )
}

function ProgressBar({ progress: { done, of, message } }: { progress: Progress }) {
  return of > 0 ? (
    <progress className={styles.built} value={done} max={of} aria-label={message} />
  ) : (
    <span className={styles.progress} aria-hidden="true" />
  )
}
