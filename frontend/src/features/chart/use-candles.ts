import { useCallback, useEffect, useRef, useState } from 'react'

import { RETRY_MS } from '@/lib/polled'
import { RequestError, untilMeant } from '@/lib/request'
import type { FollowTicker, TickerEvent } from '@/lib/stream'
import type { Bar, EpochMs } from '@/lib/wire'

import { type Candle, Candles, type Drawing, indexAt, isJump, isRestated } from './candles'
import type { ChartView } from './chart-view'
import { fetchHistory, type HistoryPage } from './history'
import { type Interval, INTERVAL_MS } from './intervals'

/** Bars asked for at once. */
const PAGE_BARS = 500
/** After older bars could not be had, scrolling asks again no sooner, ms. */
const OLDER_RETRY_MS = 5_000
/** Bars of a longer interval are read again at most this often, ms: in a fast replay one closes every second. */
const REFRESH_EVERY_MS = 1_000

/** The history looked at last, to draw at once when it is looked at again: it is then read anew. */
const seen = new Map<string, HistoryPage>()
const MOST_SEEN = 40

function remember(key: string, page: HistoryPage): void {
  seen.delete(key)
  seen.set(key, page)
  const [oldest] = seen.keys()
  if (seen.size > MOST_SEEN && oldest !== undefined) seen.delete(oldest)
}

export type Load = { state: 'loading' } | { state: 'ready' } | { state: 'error'; message: string }
export type Older = 'idle' | 'loading' | 'error'

interface Settings {
  /** Null until the chart stands. */
  view: ChartView | null
  ticker: string
  interval: Interval
  follow: FollowTicker
  /** Snapshots so far; each may follow a gap, which is then filled. */
  snapshots: number
  /** Another value means that the api's history may be another one: it is read anew. */
  generation: string
}

interface CandleFeed {
  load: Load
  older: Older
  /** The newest candle; null without any. */
  last: Candle | null
  /** Counts loads of history, older pages included. */
  version: number
  /** The candles now, for reading between draws. */
  read: () => readonly Candle[]
  at: (time: EpochMs) => Candle | null
  loadOlder: () => void
  retry: () => void
}

/** One ticker's candles on the chart: history first, then what the socket tells. */
export function useCandles({ view, ticker, interval, follow, snapshots, generation }: Settings): CandleFeed {
  const [attempt, setAttempt] = useState(0)
  const key = `${ticker} ${interval} ${generation} ${attempt}`
  const [settled, setSettled] = useState<{ key: string; load: Load }>({ key: '', load: { state: 'loading' } })
  const [older, setOlder] = useState<{ key: string; state: Older }>({ key: '', state: 'idle' })
  const [last, setLast] = useState<Candle | null>(null)
  const [version, setVersion] = useState(0)
  const candlesRef = useRef<Candles | null>(null)
  const actionsRef = useRef<{ loadOlder: () => void; fillGap: () => void } | null>(null)

  const retry = useCallback(() => {
    setAttempt((count) => count + 1)
  }, [])

  useEffect(() => {
    if (!view) return
    const abort = new AbortController()
    const seenKey = `${ticker} ${interval} ${generation}`
    let candles = new Candles(interval)
    /** Something is drawn that the socket's news can be added to. */
    let drawn = false
    /** The history is there. */
    let ready = false
    /** It could not be had; it is asked for again with the next snapshot, or a little later. */
    let failed = false
    let retryTimer: ReturnType<typeof setTimeout> | undefined
    let early: TickerEvent[] = []
    let cursor: string | null = null
    let olderBusy = false
    let olderAllowedAt = 0
    let refreshTimer: ReturnType<typeof setTimeout> | undefined
    let refreshedAt = 0

    const draw = (drawing: Drawing) => {
      if (drawing.kind === 'nothing') return
      view.draw(drawing)
      setLast(candles.all.at(-1) ?? null)
    }

    const hear = (event: TickerEvent) => {
      if (!ready && !failed) early.push(event)
      if (!drawn || event.type !== 'price') return
      const { time, price, bar } = event
      const last = candles.all.at(-1)
      // After a split the api's history is another one: whether it is, its last bar tells.
      if (last && isJump(last.close, price)) refresh(candles.lastClosed)
      if (bar === null) {
        draw(candles.putPrice(time, price))
      } else if (interval === '1m') {
        const before = candles.lastClosed
        draw(candles.putBar(bar))
        // A client that was slow gets the newest bar only: those between are read.
        if (before === null || bar.time - before > INTERVAL_MS['1m']) refresh(before)
      } else {
        // At once from the minute; then as the api sums it up.
        for (const value of [bar.open, bar.high, bar.low, bar.close]) draw(candles.putPrice(bar.time, value))
        refresh(candles.lastClosed)
      }
    }

    const put = (bars: readonly Bar[]) => {
      for (const bar of bars) draw(candles.putBar(bar))
    }

    const startAnew = () => {
      seen.delete(seenKey)
      retry()
    }

    const refresh = (start: EpochMs | null) => {
      if (!ready || refreshTimer !== undefined) return
      refreshTimer = setTimeout(
        () => {
          const request = { ticker, interval, limit: PAGE_BARS, start }
          fetchHistory(request, abort.signal)
            .then((page) => {
              // The first bars there are; or not even the bar that was there, so another run of the market; or more
              // than a page, too much to patch; or the bar that was there on another share basis.
              const another = start === null ? page.bars.length > 0 : page.bars.length === 0 || page.nextCursor !== null
              const [first] = page.bars
              const held = first && candles.all[indexAt(candles.all, first.time)]
              const restated = first && held?.time === first.time && isRestated(held.close, first.close)
              if (another || restated) startAnew()
              else put(page.bars)
            })
            .catch(() => {
              // The next bar or snapshot asks again.
            })
            .finally(() => {
              refreshedAt = Date.now()
              refreshTimer = undefined
            })
        },
        Math.max(0, refreshedAt + REFRESH_EVERY_MS - Date.now()),
      )
    }

    const loadOlder = () => {
      if (!ready || cursor === null || olderBusy || Date.now() < olderAllowedAt) return
      olderBusy = true
      setOlder({ key, state: 'loading' })
      fetchHistory({ ticker, interval, limit: PAGE_BARS, cursor }, abort.signal)
        .then((page) => {
          cursor = page.nextCursor
          candles.prepend(page.bars)
          view.setCandles(candles.all)
          setVersion((count) => count + 1)
          setOlder({ key, state: 'idle' })
        })
        .catch(() => {
          olderAllowedAt = Date.now() + OLDER_RETRY_MS
          if (!abort.signal.aborted) setOlder({ key, state: 'error' })
        })
        .finally(() => {
          olderBusy = false
        })
    }

    const begin = (page: HistoryPage) => {
      cursor = page.nextCursor
      candles = new Candles(interval)
      candles.prepend(page.bars)
      candlesRef.current = candles
      view.setInterval(interval)
      view.open(candles.all)
      drawn = true
      setLast(candles.all.at(-1) ?? null)
      setVersion((count) => count + 1)
      setSettled({ key, load: { state: 'ready' } })
    }

    const unfollow = follow(ticker, hear)
    actionsRef.current = {
      loadOlder,
      fillGap: () => {
        if (failed) loadFirst()
        else refresh(candles.lastClosed)
      },
    }
    const known = seen.get(seenKey)
    const loadFirst = () => {
      clearTimeout(retryTimer)
      failed = false
      untilMeant(ticker, abort.signal)
        .then(() => fetchHistory({ ticker, interval, limit: PAGE_BARS }, abort.signal))
        .then((page) => {
          remember(seenKey, page)
          begin(page)
          ready = true
          for (const event of early) hear(event)
          early = []
        })
        .catch((error: unknown) => {
          if (abort.signal.aborted) return
          // Another ticker's candles must not stand under this one's name.
          candlesRef.current = null
          drawn = false
          view.open([])
          setLast(null)
          const message = error instanceof RequestError ? error.message : 'The history could not be drawn.'
          setSettled({ key, load: { state: 'error', message } })
          failed = true
          early = []
          retryTimer = setTimeout(loadFirst, RETRY_MS)
        })
    }
    loadFirst()

    if (known) {
      queueMicrotask(() => {
        if (!abort.signal.aborted) begin(known)
      })
    }

    return () => {
      abort.abort()
      unfollow()
      clearTimeout(refreshTimer)
      clearTimeout(retryTimer)
      actionsRef.current = null
    }
  }, [view, ticker, interval, follow, generation, key, retry])

  useEffect(() => {
    actionsRef.current?.fillGap()
  }, [snapshots])

  const load: Load = settled.key === key ? settled.load : { state: 'loading' }
  return {
    load,
    older: older.key === key ? older.state : 'idle',
    last,
    version,
    read: useCallback(() => candlesRef.current?.all ?? [], []),
    at: useCallback((time) => {
      const all = candlesRef.current?.all ?? []
      return all[indexAt(all, time)] ?? null
    }, []),
    loadOlder: useCallback(() => {
      actionsRef.current?.loadOlder()
    }, []),
    retry,
  }
}
