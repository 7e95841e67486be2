import { type MarketClock, setClock, stopClock } from '@/lib/market-clock'
import type { LiveStock } from '@/lib/stream'
import type { EpochMs, PriceMessage, ServerMessage, Snapshot, Status } from '@/lib/wire'

import type { ConnectionState } from './connection'

/** All that the socket has told. */
export interface LiveState {
  connection: ConnectionState
  /** In the server's order; empty until the first snapshot. */
  stocks: readonly LiveStock[]
  status: Status | null
  /** Null until the first snapshot. */
  clock: MarketClock | null
  disclaimer: string | null
  /** Snapshots so far: each new one may follow a gap. */
  snapshots: number
  /** Sequence number of the last message on this connection. */
  seq: number
  /** Messages, or parts of one, that could not be read. */
  faults: number
}

export const INITIAL_STATE: LiveState = {
  connection: { state: 'connecting' },
  stocks: [],
  status: null,
  clock: null,
  disclaimer: null,
  snapshots: 0,
  seq: -1,
  faults: 0,
}

/** The state after a message; the same object when the message changes nothing. */
export function reduce(state: LiveState, message: ServerMessage, receivedAt: EpochMs): LiveState {
  if (message.type === 'snapshot') return withSnapshot(state, message, receivedAt)
  // Before its snapshot, and out of order, a message says nothing reliable.
  if (state.snapshots === 0 || message.seq <= state.seq) return state
  const next = { ...state, seq: message.seq }
  switch (message.type) {
    case 'price':
      return { ...next, stocks: withStock(state.stocks, message.ticker, (stock) => withPrice(stock, message)) }
    case 'analysis': {
      const { analysis } = message
      return {
        ...next,
        stocks: withStock(state.stocks, analysis.ticker, (stock) =>
          stock.analysis && stock.analysis.bar_time > analysis.bar_time ? stock : { ...stock, analysis },
        ),
      }
    }
    case 'status':
      return { ...next, ...withStatus(state, message.status, receivedAt) }
  }
}

function withSnapshot(state: LiveState, message: Snapshot, receivedAt: EpochMs): LiveState {
  const known = new Map(state.stocks.map((stock) => [stock.ticker, stock]))
  return {
    ...state,
    stocks: message.stocks.map((stock) => {
      const before = known.get(stock.ticker)
      return { ...stock, ...moved(before, stock.price) }
    }),
    ...withStatus(state, message.status, receivedAt),
    disclaimer: message.disclaimer,
    snapshots: state.snapshots + 1,
    seq: message.seq,
  }
}

function withStatus({ clock }: LiveState, status: Status, receivedAt: EpochMs): Pick<LiveState, 'status' | 'clock'> {
  return { status, clock: setClock(clock, status, receivedAt) }
}

/** The state after the connection has changed. */
export function withConnection(state: LiveState, connection: ConnectionState, now: EpochMs): LiveState {
  const { state: name } = connection
  return {
    ...state,
    connection,
    // Sequence numbers begin anew with a connection.
    seq: name === 'retrying' ? -1 : state.seq,
    clock:
      state.clock !== null && (name === 'waiting' || name === 'retrying') ? stopClock(state.clock, now) : state.clock,
  }
}

function withStock(
  stocks: readonly LiveStock[],
  ticker: string,
  change: (stock: LiveStock) => LiveStock,
): readonly LiveStock[] {
  return stocks.map((stock) => (stock.ticker === ticker ? change(stock) : stock))
}

function withPrice(stock: LiveStock, message: PriceMessage): LiveStock {
  // A closed bar may come after the forming price of the next minute: it does not turn the price back.
  if (stock.price_time !== null && message.time < stock.price_time) return stock
  return {
    ...stock,
    ...moved(stock, message.price),
    price: message.price,
    price_time: message.time,
    change: message.change,
    change_percent: message.change_percent,
  }
}

function moved(before: LiveStock | undefined, price: number | null): Pick<LiveStock, 'move' | 'moves'> {
  if (!before) return { move: null, moves: 0 }
  if (price === null || before.price === null || price === before.price)
    return { move: before.move, moves: before.moves }
  return { move: price > before.price ? 'up' : 'down', moves: before.moves + 1 }
}
