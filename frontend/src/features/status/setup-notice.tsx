import { useState } from 'react'

import type { Setup } from '@/lib/wire'

import styles from './status.module.css'

/** How far the compilation is that a first start leaves running behind the page. Hidden, it comes back if it fails. */
export function SetupNotice({ setup }: { setup: Setup }) {
  const { state, done, of, message } = setup
  const [hidden, setHidden] = useState<Setup['state'] | null>(null)
  if (hidden === state) return null
  return (
    // Progress is not read out every few seconds.
    <div
      className={styles.notice}
      data-kind={state}
      role={state === 'failed' ? 'alert' : undefined}
      data-testid="setup"
    >
      {state === 'building' &&
        (of > 0 ? (
          <progress className={styles.built} value={done} max={of} aria-label="Compiled" />
        ) : (
          <span className={styles.progress} aria-hidden="true" />
        ))}
      <p className={styles.setupText}>{message}</p>
      <button
        type="button"
        className={styles.hide}
        onClick={() => {
          setHidden(state)
        }}
      >
        Hide
      </button>
    </div>
  )
}
