import type { FollowTicker, TickerEvent } from '@/lib/stream'
import { readMessage, type ServerMessage } from '@/lib/wire'

import { Connection, type Socket } from './connection'
import { INITIAL_STATE, type LiveState, reduce } from './state'

/** The page is drawn at most this often, however fast messages come. */
const DRAW_EVERY_MS = 100

/** Unreadable messages reported on the console; after that they are only counted. */
const REPORTED_FAULTS = 20

/** One socket, one state, many followers. */
export interface LiveStore {
  /** Opens the socket; returns how to close it and end its timers. */
  start: () => () => void
  getState: () => LiveState
  subscribe: (listener: () => void) => () => void
  follow: FollowTicker
  retryNow: () => void
}

export function createLiveStore(openSocket: () => Socket): LiveStore {
  let state = INITIAL_STATE
  let pending = INITIAL_STATE
  let drawTimer: ReturnType<typeof setTimeout> | undefined
  const listeners = new Set<() => void>()
  const followers = new Map<string, Set<(event: TickerEvent) => void>>()

  const draw = () => {
    clearTimeout(drawTimer)
    drawTimer = undefined
    if (state === pending) return
    state = pending
    for (const listener of listeners) listener()
  }
  const drawSoon = () => {
    drawTimer ??= setTimeout(draw, DRAW_EVERY_MS)
  }
  const tell = (ticker: string, event: TickerEvent) => {
    for (const listener of followers.get(ticker) ?? []) listener(event)
  }
  const receive = (message: ServerMessage) => {
    const before = pending
    pending = reduce(pending, message, Date.now())
    if (pending === before) return
    if (message.type === 'price') {
      tell(message.ticker, { type: 'price', time: message.time, price: message.price, bar: message.bar })
    } else if (message.type === 'analysis') {
      tell(message.analysis.ticker, { type: 'analysis', analysis: message.analysis })
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
      // Sequence numbers begin anew with a connection.
      const seq = connectionState.state === 'retrying' ? -1 : pending.seq
      pending = { ...pending, seq, connection: connectionState }
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
    getState: () => state,
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    follow: (ticker, listener) => {
      const set = followers.get(ticker) ?? new Set()
      followers.set(ticker, set.add(listener))
      return () => {
        set.delete(listener)
        if (set.size === 0) followers.delete(ticker)
      }
    },
    retryNow: () => {
      connection.retryNow()
    },
  }
}
