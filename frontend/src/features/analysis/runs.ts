import { newYorkDay } from '@/lib/format'
import { signalOf } from '@/lib/signal'
import type { EpochMs, Verdict } from '@/lib/wire'

/** The same recommendation, bar after bar, within a day. */
export interface Run {
  /** Its first bar's start. */
  from: EpochMs
  /** Its last bar's start. */
  to: EpochMs
  /** What was said last. */
  latest: Verdict
}

/** Folds verdicts (newest first) into runs, newest first: a recommendation repeats every minute until something changes. */
export function runsOf(verdicts: readonly Verdict[]): Run[] {
  const runs: Run[] = []
  for (const verdict of verdicts) {
    const run = runs.at(-1)
    if (run && continues(run.latest, verdict)) run.from = verdict.bar_time
    else runs.push({ from: verdict.bar_time, to: verdict.bar_time, latest: verdict })
  }
  return runs
}

function continues(later: Verdict, earlier: Verdict): boolean {
  const [after, before] = [signalOf(later.recommendation), signalOf(earlier.recommendation)]
  return (
    after.kind === before.kind &&
    after.direction === before.direction &&
    later.late === earlier.late &&
    newYorkDay(later.bar_time) === newYorkDay(earlier.bar_time)
  )
}
