import { useCallback, useEffect, useRef, useState } from 'react'
import { z } from 'zod/mini'

import { RETRY_MS } from '@/lib/polled'
import { getJson, RequestError, untilMeant, usableRows } from '@/lib/request'
import type { FollowTicker } from '@/lib/stream'
import { type EpochMs, type Verdict, verdictSchema } from '@/lib/wire'

/** Predictions asked for first: what the lists show. The chart's arrows ask for more as far back as it is looked at. */
const FIRST_ROWS = 60
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
async function fetchPredictions(
  ticker: string,
  limit: number,
  cursor: string | null,
  signal: AbortSignal,
): Promise<PredictionsPage> {
  const path = `/stocks/${encodeURIComponent(ticker)}/predictions`
  const page = await getJson(path, { limit, cursor }, pageSchema, signal)
  return { verdicts: usableRows(verdictSchema, page.predictions, 'prediction'), nextCursor: page.next_cursor }
}

/** Both lists in one, newest first, one verdict per bar; of two the one from `news` counts. */
export function mergeVerdicts(known: readonly Verdict[], news: readonly Verdict[]): Verdict[] {
  const byBar = new Map(known.map((verdict) => [verdict.bar_time, verdict]))
  for (const verdict of news) byBar.set(verdict.bar_time, verdict)
  return [...byBar.values()].sort((left, right) => right.bar_time - left.bar_time).slice(0, MOST_ROWS)
}

/** How many minutes lie between, but no more than a page. */
export function rowsBetween(from: EpochMs, to: EpochMs): number {
  return Math.min(PAGE_ROWS, Math.max(FIRST_ROWS, Math.ceil((to - from) / 60_000) + 1))
}

/** The verdicts of the tickers looked at last, to show when one is looked at again: it is then read anew. */
const seen = new Map<string, readonly Verdict[]>()
const MOST_SEEN = 40

function remember(ticker: string, verdicts: readonly Verdict[]): void {
  seen.delete(ticker)
  seen.set(ticker, verdicts.slice(0, FIRST_ROWS))
  const [oldest] = seen.keys()
  if (seen.size > MOST_SEEN && oldest !== undefined) seen.delete(oldest)
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

/** What there is to show of a ticker before it has been asked for. */
function heldBefore(ticker: string): Held {
  const verdicts = seen.get(ticker)
  return { ticker, verdicts: verdicts ?? NONE, state: verdicts ? 'ready' : 'loading', message: null }
}

const NONE: readonly Verdict[] = []

/** The predictions of one ticker: history, then what the socket tells. `snapshots` counts possible gaps. */
export function usePredictions(ticker: string | null, follow: FollowTicker, snapshots: number): Predictions {
  const [held, setHeld] = useState<Held | null>(null)
  const reachRef = useRef<((time: EpochMs) => void) | null>(null)
  const wantedRef = useRef({ ticker, from: Infinity })

  useEffect(() => {
    if (ticker === null) return
    const abort = new AbortController()
    let cursor: string | null = null
    let oldest = -Infinity
    let rows = 0
    let busy = true
    let retryTimer: ReturnType<typeof setTimeout> | undefined
    /** What the socket told before history was there; null afterwards. */
    let early: readonly Verdict[] | null = []
    if (wantedRef.current.ticker !== ticker) wantedRef.current = { ticker, from: Infinity }
    const wanted = wantedRef.current

    const add = (news: readonly Verdict[], state?: Held['state'], message: string | null = null) => {
      setHeld((before) => {
        const same = before?.ticker === ticker ? before : heldBefore(ticker)
        return {
          ticker,
          verdicts: mergeVerdicts(same.verdicts, news),
          state: state ?? same.state,
          message: state ? message : same.message,
        }
      })
    }
    /** The verdicts from the newest on: what was held may have a gap to them, or be of another run of the market. */
    const begin = ({ verdicts }: PredictionsPage) => {
      remember(ticker, verdicts)
      setHeld({ ticker, verdicts: mergeVerdicts(verdicts, early ?? []), state: 'ready', message: null })
      early = null
    }
    const load = async () => {
      const first = early !== null
      if (first) await untilMeant(ticker, abort.signal)
      const limit = first ? FIRST_ROWS : rowsBetween(wanted.from, oldest)
      const page = await fetchPredictions(ticker, limit, cursor, abort.signal)
      cursor = page.nextCursor
      oldest = page.verdicts.at(-1)?.bar_time ?? oldest
      rows += page.verdicts.length
      if (first) begin(page)
      else add(page.verdicts, 'ready')
    }
    const loadOlder = () => {
      if (busy || cursor === null || oldest <= wanted.from || rows >= MOST_ROWS) return
      busy = true
      load()
        .catch(() => {
          // Scrolling on asks again.
        })
        .finally(() => {
          busy = false
        })
    }

    const unfollow = follow(ticker, (event) => {
      if (event.type !== 'analysis') return
      if (early !== null) early = mergeVerdicts(early, [event.analysis])
      add([event.analysis])
    })
    const loadFirst = () => {
      load()
        .then(() => {
          busy = false
          loadOlder()
        })
        .catch((error: unknown) => {
          if (abort.signal.aborted) return
          add([], 'error', error instanceof RequestError ? error.message : 'The predictions could not be read.')
          retryTimer = setTimeout(loadFirst, RETRY_MS)
        })
    }
    loadFirst()
    reachRef.current = (time) => {
      wanted.from = Math.min(wanted.from, time)
      loadOlder()
    }
    return () => {
      abort.abort()
      unfollow()
      clearTimeout(retryTimer)
      reachRef.current = null
    }
  }, [ticker, follow, snapshots])

  const { verdicts, state, message } = held !== null && held.ticker === ticker ? held : heldBefore(ticker ?? '')
  return {
    verdicts,
    state,
    message,
    reachBackTo: useCallback((time) => {
      reachRef.current?.(time)
    }, []),
  }
}
