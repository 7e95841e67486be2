import { formatAge } from './format'
import type { Polled } from './polled'
import { useClock } from './use-now'

interface Props {
  polled: Polled<unknown>
  /** What it is about, where the place does not say it. */
  what?: string
}

/** Says that what is shown is not the newest, and why; nothing when it is. */
export function StaleNote({ polled: { value, loadedAt, failure }, what }: Props) {
  const age = useClock(5_000, (now) => formatAge(now - loadedAt), '')
  if (value === null || failure === null) return null
  return (
    <p className="stale" role="status" title={failure}>
      {what === undefined ? 'Not' : `${what}: not`} refreshed for {age}. {failure}
    </p>
  )
}
