import { useCallback, useSyncExternalStore } from 'react'

import type { Analysis, Bar, EpochMs, Stock } from './wire'

/** A stock as shown: with how its last price moved. */
export interface LiveStock extends Stock {
  /** Which way the last change of the price went. */
  move: 'up' | 'down' | null
  /** Counts changes of the price, so that each is noticed. */
  moves: number
}

/** What one ticker's followers hear, in order and without omission. */
export type TickerEvent =
  { type: 'price'; time: EpochMs; price: number; bar: Bar | null } | { type: 'analysis'; analysis: Analysis }

/** Follows one ticker; returns how to stop. */
export type FollowTicker = (ticker: string, listener: (event: TickerEvent) => void) => () => void

/** The stocks as they are now, each to be watched by itself: a price draws its own row, not the page. */
export interface StockFeed {
  /** In the server's order. */
  readAll: () => readonly LiveStock[]
  read: (ticker: string) => LiveStock | null
  /** Tells after a stock has changed, at most five times a second; returns how to stop. */
  watch: (ticker: string, listener: () => void) => () => void
}

/**
 * A part of a stock that is drawn anew only when this part has changed; null without the stock. With `live` off it is
 * what it was when the component was drawn last.
 */
export function useStock<T>(
  feed: StockFeed,
  ticker: string | null,
  part: (stock: LiveStock) => T,
  live = true,
): T | null {
  const watch = useCallback(
    (listener: () => void) => (ticker === null || !live ? () => undefined : feed.watch(ticker, listener)),
    [feed, ticker, live],
  )
  return useSyncExternalStore(
    watch,
    () => {
      const stock = ticker === null ? null : feed.read(ticker)
      return stock === null ? null : part(stock)
    },
    () => null,
  )
}

/** The whole of it. */
export const wholeStock = (stock: LiveStock): LiveStock => stock
