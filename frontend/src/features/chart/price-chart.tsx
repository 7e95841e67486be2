import { useCallback, useEffect, useLayoutEffect, useState } from 'react'

import {
  directionOf,
  formatChange,
  formatDate,
  formatDateTime,
  formatPercent,
  formatPrice,
  formatVolume,
} from '@/lib/format'
import { type FollowTicker, type StockFeed, useStock } from '@/lib/stream'
import type { EpochMs, Verdict } from '@/lib/wire'

import { arrowsOf } from './arrows'
import type { Candle } from './candles'
import { ChartView } from './chart-view'
import type { Interval } from './intervals'
import styles from './price-chart.module.css'
import { useCandles } from './use-candles'

interface Props {
  feed: StockFeed
  ticker: string
  interval: Interval
  follow: FollowTicker
  snapshots: number
  /** Another value means that the api's history may be another one: it is read anew. */
  generation: string
  /** The ticker's predictions, for the arrows. */
  verdicts: readonly Verdict[]
  /** Called with the time of the oldest candle in view. */
  onVisibleFrom: (time: EpochMs) => void
  /** What to say when there are no bars at all. */
  emptyText: string
}

/** Candles, volume and arrows of one ticker, live. */
export function PriceChart({
  feed,
  ticker,
  interval,
  follow,
  snapshots,
  generation,
  verdicts,
  onVisibleFrom,
  emptyText,
}: Props) {
  const [view, setView] = useState<ChartView | null>(null)
  const [pointed, setPointed] = useState<EpochMs | null>(null)
  const [past, setPast] = useState(false)
  const price = useStock(feed, ticker, (stock) => stock.price)

  const attach = useCallback((container: HTMLDivElement) => {
    const chart = new ChartView(container)
    setView(chart)
    return () => {
      setView(null)
      chart.dispose()
    }
  }, [])

  const { load, older, last, version, read, at, loadOlder, retry } = useCandles({
    view,
    ticker,
    interval,
    follow,
    snapshots,
    generation,
  })

  useEffect(() => {
    const dark = window.matchMedia('(prefers-color-scheme: dark)')
    const repaint = () => {
      view?.repaint(read())
    }
    dark.addEventListener('change', repaint)
    return () => {
      dark.removeEventListener('change', repaint)
    }
  }, [view, read])

  useEffect(() => view?.onPointer(setPointed), [view])
  useEffect(
    () =>
      view?.onView(({ firstIndex, nearOldest, past: isPast }) => {
        setPast(isPast)
        if (nearOldest) loadOlder()
        const first = read()[firstIndex]
        if (first) onVisibleFrom(first.time)
      }),
    [view, read, loadOlder, onVisibleFrom],
  )
  useEffect(() => {
    view?.setArrows(arrowsOf(verdicts, read(), interval), interval === '1m')
  }, [view, verdicts, interval, version, read])
  const falling = last !== null && last.close < last.open
  // Painted together with the candle that the price has moved.
  useLayoutEffect(() => {
    view?.showPrice(load.state === 'ready' ? (price ?? last?.close ?? null) : null, falling ? 'down' : 'up')
  }, [view, load, price, last, falling])

  const shown = (pointed === null ? null : at(pointed)) ?? last
  const empty = load.state === 'ready' && last === null

  return (
    <figure className={styles.figure} aria-label={`Candlestick chart of ${ticker}, New York time`}>
      <div ref={attach} className={styles.canvas} data-state={load.state} data-testid="chart" />
      {shown && load.state === 'ready' && <Legend candle={shown} interval={interval} />}
      {past && load.state === 'ready' && (
        <button
          type="button"
          className={`button ${styles.now}`}
          onClick={() => {
            view?.showNow()
          }}
        >
          {formatPrice(price)} now ›
        </button>
      )}
      {load.state === 'loading' && (
        <p className={styles.notice} role="status">
          Loading {ticker}…
        </p>
      )}
      {load.state === 'error' && (
        <div className={styles.notice} role="alert">
          <p>{load.message}</p>
          <button type="button" className="button" onClick={retry}>
            Load again
          </button>
        </div>
      )}
      {empty && (
        <p className={styles.notice} role="status">
          {emptyText}
        </p>
      )}
      {older !== 'idle' && (
        <p className={styles.older} role="status">
          {older === 'loading' ? 'Loading older bars…' : 'Older bars could not be loaded. Scroll to ask again.'}
        </p>
      )}
    </figure>
  )
}

function Legend({ candle, interval }: { candle: Candle; interval: Interval }) {
  const { time, open, high, low, close, volume, provisional } = candle
  const change = close - open
  return (
    <figcaption className={styles.legend} data-direction={directionOf(change)}>
      <span>{(interval === '1d' ? formatDate : formatDateTime)(time)}</span>
      <Value name="O" value={formatPrice(open)} />
      <Value name="H" value={formatPrice(high)} />
      <Value name="L" value={formatPrice(low)} />
      <Value name="C" value={formatPrice(close)} />
      <span className={styles.change}>
        {formatChange(change)} ({formatPercent((change / open) * 100)})
      </span>
      {provisional ? (
        <span className={styles.forming}>forming</span>
      ) : (
        <Value name="Vol" value={formatVolume(volume)} />
      )}
    </figcaption>
  )
}

function Value({ name, value }: { name: string; value: string }) {
  return (
    <span>
      <span className={styles.name}>{name}</span> {value}
    </span>
  )
}
