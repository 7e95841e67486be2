import { useCallback, useEffect, useRef, useState } from 'react'
import { z } from 'zod/mini'

import { getJson, RequestError, usableRows } from '@/lib/request'
import type { FollowTicker } from '@/lib/stream'
import { type EpochMs, type Verdict, verdictSchema } from '@/lib/wire'

/** Predictions asked for at once: more than a session's minutes. */
const PAGE_ROWS = 400
/** Held per ticker at most: about a week of minutes. */
const MOST_ROWS = 2_000

const pageSchema = z.object({ predictions: z.array(z.unknown()), next_cursor: z.nullable(z.string()) })

interface PredictionsPage {
  /** Newest first. */
  verdicts: Verdict[]
  nextCursor: string | null
}

/** Stored predictions of one ticker, newest first. @throws {RequestError} */
async function fetchPredictions(ticker: string, cursor: string | null, signal: AbortSignal): Promise<PredictionsPage> {
  const path = `/stocks/${encodeURIComponent(ticker)}/predictions`
  const page = await getJson(path, { limit: PAGE_ROWS, cursor }, pageSchema, signal)
  return { verdicts: usableRows(verdictSchema, page.predictions, 'prediction'), nextCursor: page.next_cursor }
}

/** Both lists in one, newest first, one verdict per bar; of two the one from `news` counts. */
export function mergeVerdicts(known: readonly Verdict[], news: readonly Verdict[]): Verdict[] {
  const byBar = new Map(known.map((verdict) => [verdict.bar_time, verdict]))
  for (const verdict of news) byBar.set(verdict.bar_time, verdict)
  return [...byBar.values()].sort((left, right) => right.bar_time - left.bar_time).slice(0, MOST_ROWS)
}

interface Predictions {
  /** Newest first; empty while loading. */
  verdicts: readonly Verdict[]
  state: 'loading' | 'ready' | 'error'
  /** Why there is no history, for people. */
  message: string | null
  /** Makes sure that the list reaches back to this time, as far as it may. */
  reachBackTo: (time: EpochMs) => void
}

interface Held {
  ticker: string
  verdicts: readonly Verdict[]
  state: Predictions['state']
  message: string | null
}

/** The predictions of one ticker: history, then what the socket tells. `snapshots` counts possible gaps. */
export function usePredictions(ticker: string | null, follow: FollowTicker, snapshots: number): Predictions {
  const [held, setHeld] = useState<Held | null>(null)
  const reachRef = useRef<((time: EpochMs) => void) | null>(null)

  useEffect(() => {
    if (ticker === null) return
    const abort = new AbortController()
    let cursor: string | null = null
    let oldest = -Infinity
    let rows = 0
    let busy = true

    const add = (news: readonly Verdict[], state?: Held['state'], message: string | null = null) => {
      setHeld((before) => {
        const same = before?.ticker === ticker ? before : null
        const verdicts = mergeVerdicts(same?.verdicts ?? [], news)
        return {
          ticker,
          verdicts,
          state: state ?? same?.state ?? 'loading',
          message: state ? message : (same?.message ?? null),
        }
      })
    }
    const load = async () => {
      const page = await fetchPredictions(ticker, cursor, abort.signal)
      cursor = page.nextCursor
      oldest = page.verdicts.at(-1)?.bar_time ?? oldest
      rows += page.verdicts.length
      add(page.verdicts, 'ready')
    }
    const unfollow = follow(ticker, (event) => {
      if (event.type === 'analysis') add([event.analysis])
    })
    load()
      .catch((error: unknown) => {
        if (abort.signal.aborted) return
        add([], 'error', error instanceof RequestError ? error.message : 'The predictions could not be read.')
      })
      .finally(() => {
        busy = false
      })
    reachRef.current = (time) => {
      if (busy || cursor === null || oldest <= time || rows >= MOST_ROWS) return
      busy = true
      load()
        .catch(() => {
          // Scrolling on asks again.
        })
        .finally(() => {
          busy = false
        })
    }
    return () => {
      abort.abort()
      unfollow()
      reachRef.current = null
    }
  }, [ticker, follow, snapshots])

  const current = held !== null && held.ticker === ticker ? held : null
  return {
    verdicts: current?.verdicts ?? NONE,
    state: current?.state ?? 'loading',
    message: current?.message ?? null,
    reachBackTo: useCallback((time) => {
      reachRef.current?.(time)
    }, []),
  }
}

const NONE: readonly Verdict[] = []
