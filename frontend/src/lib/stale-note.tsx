import { formatAge } from './format'
import type { Polled } from './polled'
import { useNow } from './use-now'

/** Says that what is shown is not the newest, and why; nothing when it is. */
export function StaleNote({ polled: { value, loadedAt, failure } }: { polled: Polled<unknown> }) {
  const now = useNow(5_000)
  if (value === null || failure === null) return null
  return (
    <p className="stale" role="status" title={failure}>
      Not refreshed for {formatAge(now - loadedAt)}. {failure}
    </p>
  )
}
