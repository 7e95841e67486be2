import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import type { TickerEvent } from '@/lib/stream'
import { wireAnalysis, wirePrice, wireSnapshot } from '@/lib/test-data'

import type { Socket } from './connection'
import { createLiveStore } from './store'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function setUp() {
  const socket: Socket = { onopen: null, onmessage: null, onclose: null, close: () => undefined }
  const store = createLiveStore(() => socket)
  const draws = vi.fn()
  store.subscribe(draws)
  const stop = store.start()
  const say = (data: string) => {
    socket.onmessage?.call(socket as WebSocket, new MessageEvent('message', { data }))
  }
  return { store, stop, say, draws }
}

describe('createLiveStore', () => {
  it('draws a burst once, and tells followers of each message', () => {
    const { store, say, draws } = setUp()
    say(JSON.stringify(wireSnapshot))
    draws.mockClear()
    const heard: TickerEvent[] = []
    store.follow('AAPL', (event) => heard.push(event))
    for (const seq of [2, 3, 4]) say(JSON.stringify({ ...wirePrice, seq, price: 10 + seq }))
    say(JSON.stringify({ type: 'analysis', seq: 5, ...wireAnalysis }))
    say(JSON.stringify({ ...wirePrice, seq: 6, ticker: 'MSFT' }))
    expect(draws).not.toHaveBeenCalled()
    vi.advanceTimersByTime(100)
    expect(draws).toHaveBeenCalledTimes(1)
    expect(store.getState().stocks[0]?.price).toBe(14)
    expect(heard.map((event) => (event.type === 'price' ? event.price : event.type))).toEqual([12, 13, 14, 'analysis'])
  })

  it('survives garbage and counts it', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const { store, say } = setUp()
    say(JSON.stringify(wireSnapshot))
    for (const text of ['{', '[]', '{"type":"price","seq":"x"}']) say(text)
    say(JSON.stringify(wirePrice))
    vi.advanceTimersByTime(100)
    expect(store.getState()).toMatchObject({ faults: 3, seq: 2, connection: { state: 'open' } })
    expect(warn).toHaveBeenCalledTimes(3)
  })

  it('leaves no timer behind', () => {
    const { stop, say } = setUp()
    say(JSON.stringify(wireSnapshot))
    say(JSON.stringify(wirePrice))
    stop()
    expect(vi.getTimerCount()).toBe(0)
  })
})
