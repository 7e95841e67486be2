import { useEffect, useRef, useState } from 'react'

import { RequestError } from './request'
import type { EpochMs } from './wire'

/** After a failure it is asked again so soon, ms. */
export const RETRY_MS = 10_000

/** What is asked for again and again. Without a value it is loading, or with a failure an error; with both it is stale. */
export interface Polled<T> {
  /** The last answer; null before the first. */
  value: T | null
  /** When it came, this machine's time. */
  loadedAt: EpochMs
  /** Why the last request failed, for people; null when it did not. */
  failure: string | null
}

/** How long to wait after an answer, ms: always as long, or by the answer. */
export type Pace<T> = number | ((value: T | null) => number)

/** Asks; `before` is the last answer. @throws {RequestError} */
export type Fetcher<T> = (before: T | null, signal: AbortSignal) => Promise<T>

interface Polling {
  /** Asks now, unless it is asking. */
  refresh: () => void
  stop: () => void
}

/** Asks at once and then again after each answer. A failure leaves the last answer standing. */
export function startPolling<T>(fetcher: Fetcher<T>, pace: Pace<T>, onChange: (polled: Polled<T>) => void): Polling {
  const abort = new AbortController()
  let polled: Polled<T> = NOTHING
  let timer: ReturnType<typeof setTimeout> | undefined
  let busy = false

  const ask = async () => {
    clearTimeout(timer)
    busy = true
    try {
      polled = { value: await fetcher(polled.value, abort.signal), loadedAt: Date.now(), failure: null }
    } catch (error) {
      polled = { ...polled, failure: error instanceof RequestError ? error.message : 'The answer could not be read.' }
    }
    busy = false
    if (abort.signal.aborted) return
    onChange(polled)
    const everyMs = typeof pace === 'number' ? pace : pace(polled.value)
    timer = setTimeout(() => void ask(), polled.failure === null ? everyMs : Math.min(everyMs, RETRY_MS))
  }
  void ask()

  return {
    refresh: () => {
      if (!busy && !abort.signal.aborted) void ask()
    },
    stop: () => {
      abort.abort()
      clearTimeout(timer)
    },
  }
}

/**
 * Polls while the page is open: also when it comes back into view, and when another snapshot shows that the connection
 * was lost. Another fetcher or pace begins anew, so their identity must say what is asked for; null asks for nothing.
 */
export function usePolled<T>(fetcher: Fetcher<T> | null, pace: Pace<T>, snapshots: number): Polled<T> {
  const [held, setHeld] = useState<{ fetcher: Fetcher<T>; polled: Polled<T> } | null>(null)
  const pollingRef = useRef<Polling | null>(null)

  useEffect(() => {
    if (fetcher === null) return
    const polling = startPolling(fetcher, pace, (polled) => {
      setHeld({ fetcher, polled })
    })
    const look = () => {
      if (!document.hidden) polling.refresh()
    }
    pollingRef.current = polling
    document.addEventListener('visibilitychange', look)
    return () => {
      polling.stop()
      pollingRef.current = null
      document.removeEventListener('visibilitychange', look)
    }
  }, [fetcher, pace])

  useEffect(() => {
    pollingRef.current?.refresh()
  }, [snapshots])

  return held !== null && held.fetcher === fetcher ? held.polled : NOTHING
}

const NOTHING = { value: null, loadedAt: 0, failure: null }
