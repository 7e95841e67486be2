import { formatDate, momentOfDay } from '@/lib/format'
import { StaleNote } from '@/lib/stale-note'
import type { Status } from '@/lib/wire'

import { summarise, useLooks } from './drift'
import styles from './status.module.css'

/** How the models in use do by the drift monitor's last look; nothing before it. */
export function ModelsBadge({ models, snapshots }: { models: Status['models']; snapshots: number }) {
  const looks = useLooks(snapshots)
  const summary = looks.value && summarise(looks.value, models)
  if (!summary) return null
  const days = summary.sessions.map((day) => formatDate(momentOfDay(day)))
  return (
    <>
      <span
        className={styles.models}
        data-state={summary.state}
        data-testid="models"
        title={`Inputs and outcomes of ${days.join(' and ')} beside those that the models were trained on`}
      >
        {summary.words}
      </span>
      <StaleNote polled={looks} what="Models' state" />
    </>
  )
}
