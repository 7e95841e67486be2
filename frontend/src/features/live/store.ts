import { untilBeat } from '@/lib/beat'
import type { FollowTicker, LiveStock, StockFeed, TickerEvent } from '@/lib/stream'
import { readMessage, type ServerMessage } from '@/lib/wire'

import { Connection, type Socket } from './connection'
import { INITIAL_STATE, type LiveState, reduce, withConnection } from './state'

/** Unreadable messages reported on the console; after that they are only counted. */
const REPORTED_FAULTS = 20

/** All but the stocks themselves: it changes with a status or the connection, not with prices. */
export interface LiveFrame extends Omit<LiveState, 'stocks' | 'seq' | 'faults'> {
  /** In the server's order; empty until the first snapshot. */
  tickers: readonly string[]
  /** Something came and not even the snapshot could be read. */
  unreadable: boolean
}

/** One socket, one state, many followers. */
export interface LiveStore {
  /** Opens the socket; returns how to close it and end its timers. */
  start: () => () => void
  getFrame: () => LiveFrame
  subscribe: (listener: () => void) => () => void
  stocks: StockFeed
  follow: FollowTicker
  retryNow: () => void
}

export const INITIAL_FRAME = frameOf(INITIAL_STATE)

function frameOf({ connection, status, clock, disclaimer, snapshots, stocks, faults }: LiveState): LiveFrame {
  const tickers = stocks.map(({ ticker }) => ticker)
  return { connection, status, clock, disclaimer, snapshots, tickers, unreadable: snapshots === 0 && faults > 0 }
}

function isSameFrame(before: LiveState, after: LiveState): boolean {
  return (
    before.connection === after.connection &&
    before.clock === after.clock &&
    before.snapshots === after.snapshots &&
    (after.snapshots > 0 || before.faults === after.faults)
  )
}

/** Listeners by name. */
class Listeners<T extends unknown[]> {
  private readonly byName = new Map<string, Set<(...told: T) => void>>()

  add(name: string, listener: (...told: T) => void): () => void {
    const set = this.byName.get(name) ?? new Set()
    this.byName.set(name, set.add(listener))
    return () => {
      set.delete(listener)
      if (set.size === 0 && this.byName.get(name) === set) this.byName.delete(name)
    }
  }

  tell(name: string, ...told: T): void {
    for (const listener of this.byName.get(name) ?? []) listener(...told)
  }
}

export function createLiveStore(openSocket: () => Socket): LiveStore {
  let state = INITIAL_STATE
  let pending = INITIAL_STATE
  let frame = INITIAL_FRAME
  let byTicker = new Map<string, LiveStock>()
  let drawTimer: ReturnType<typeof setTimeout> | undefined
  const frameListeners = new Set<() => void>()
  const stockListeners = new Listeners<[]>()
  const followers = new Listeners<[TickerEvent]>()
  let untold: [string, TickerEvent][] = []

  const draw = () => {
    clearTimeout(drawTimer)
    drawTimer = undefined
    const telling = untold
    untold = []
    for (const [ticker, event] of telling) followers.tell(ticker, event)
    if (state === pending) return
    const before = state
    state = pending
    const changed = state.stocks.filter((stock) => byTicker.get(stock.ticker) !== stock)
    if (changed.length > 0 || state.stocks.length !== byTicker.size) {
      byTicker = new Map(state.stocks.map((stock) => [stock.ticker, stock]))
    }
    if (!isSameFrame(before, state)) {
      frame = frameOf(state)
      for (const listener of frameListeners) listener()
    }
    for (const { ticker } of changed) stockListeners.tell(ticker)
  }
  const drawSoon = () => {
    drawTimer ??= setTimeout(draw, untilBeat(0))
  }
  const receive = (message: ServerMessage) => {
    const before = pending
    pending = reduce(pending, message, Date.now())
    if (pending === before) return
    if (message.type === 'price') {
      const { ticker, time, price, bar } = message
      untold.push([ticker, { type: 'price', time, price, bar }])
    } else if (message.type === 'analysis') {
      untold.push([message.analysis.ticker, { type: 'analysis', analysis: message.analysis }])
    }
    if (message.type === 'snapshot') draw()
    else drawSoon()
  }

  const connection = new Connection({
    openSocket,
    onText: (text) => {
      const { value, faults } = readMessage(text)
      if (faults.length > 0) {
        if (pending.faults < REPORTED_FAULTS) console.warn('unreadable from the api:', faults.slice(0, 3).join('; '))
        pending = { ...pending, faults: pending.faults + faults.length }
        drawSoon()
      }
      if (value) receive(value)
    },
    onState: (connectionState) => {
      pending = withConnection(pending, connectionState, Date.now())
      draw()
    },
  })

  return {
    start: () => {
      connection.start()
      return () => {
        connection.stop()
        clearTimeout(drawTimer)
        drawTimer = undefined
      }
    },
    getFrame: () => frame,
    subscribe: (listener) => {
      frameListeners.add(listener)
      return () => frameListeners.delete(listener)
    },
    stocks: {
      readAll: () => state.stocks,
      read: (ticker) => byTicker.get(ticker) ?? null,
      watch: (ticker, listener) => stockListeners.add(ticker, listener),
    },
    follow: (ticker, listener) => followers.add(ticker, listener),
    retryNow: () => {
      connection.retryNow()
    },
  }
}
