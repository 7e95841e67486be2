import type { Analysis, Bar, EpochMs, Stock } from './wire'

/** A stock as shown: with how its last price moved. */
export interface LiveStock extends Stock {
  /** Which way the last change of the price went. */
  move: 'up' | 'down' | null
  /** Counts changes of the price, so that a flash can restart. */
  moves: number
}

/** What one ticker's followers hear, in order and without omission. */
export type TickerEvent =
  { type: 'price'; time: EpochMs; price: number; bar: Bar | null } | { type: 'analysis'; analysis: Analysis }

/** Follows one ticker; returns how to stop. */
export type FollowTicker = (ticker: string, listener: (event: TickerEvent) => void) => () => void
