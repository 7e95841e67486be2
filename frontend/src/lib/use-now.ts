import { useCallback, useSyncExternalStore } from 'react'

import type { EpochMs } from './wire'

/** What a component may take from the clock: compared by value, so that it is drawn again only when that changes. */
type Shown = string | number | boolean | null

/** Those who look at the clock equally often share a timer. */
const sharers = new Map<number, Set<() => void>>()
const timers = new Map<number, ReturnType<typeof setInterval>>()

function lookEvery(everyMs: number, listener: () => void): () => void {
  const listeners = sharers.get(everyMs) ?? new Set()
  sharers.set(everyMs, listeners.add(listener))
  if (!timers.has(everyMs)) {
    const look = () => {
      for (const each of listeners) each()
    }
    timers.set(everyMs, setInterval(look, everyMs))
  }
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timers.get(everyMs))
    timers.delete(everyMs)
  }
}

/** What is to be shown at this machine's time, looked at every `everyMs`. In the exported page it is `before`. */
export function useClock<T extends Shown>(everyMs: number, show: (now: EpochMs) => T, before: T): T {
  const subscribe = useCallback((listener: () => void) => lookEvery(everyMs, listener), [everyMs])
  return useSyncExternalStore(
    subscribe,
    () => show(Date.now()),
    () => before,
  )
}
