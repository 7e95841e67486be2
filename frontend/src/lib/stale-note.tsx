import { formatAge } from './format'
import type { Polled } from './polled'
import { useClock } from './use-now'

/** Says that what is shown is not the newest, and why; nothing when it is. */
export function StaleNote({ polled: { value, loadedAt, failure } }: { polled: Polled<unknown> }) {
  const age = useClock(5_000, (now) => formatAge(now - loadedAt), '')
  if (value === null || failure === null) return null
  return (
    <p className="stale" role="status" title={failure}>
      Not refreshed for {age}. {failure}
    </p>
  )
}
