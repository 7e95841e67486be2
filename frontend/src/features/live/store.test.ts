import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { BEAT_MS } from '@/lib/beat'
import type { TickerEvent } from '@/lib/stream'
import { wireAnalysis, wirePrice, wireSnapshot, wireStatus } from '@/lib/test-data'

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
    const { store, say } = setUp()
    say(JSON.stringify(wireSnapshot))
    const apple = vi.fn()
    store.stocks.watch('AAPL', apple)
    const heard: TickerEvent[] = []
    store.follow('AAPL', (event) => heard.push(event))
    for (const seq of [2, 3, 4]) say(JSON.stringify({ ...wirePrice, seq, price: 10 + seq }))
    say(JSON.stringify({ type: 'analysis', seq: 5, ...wireAnalysis }))
    expect(apple).not.toHaveBeenCalled()
    vi.advanceTimersByTime(BEAT_MS)
    expect(apple).toHaveBeenCalledTimes(1)
    expect(store.stocks.read('AAPL')?.price).toBe(14)
    expect(heard.map((event) => (event.type === 'price' ? event.price : event.type))).toEqual([12, 13, 14, 'analysis'])
  })

  it('draws for a price that stock alone, and for a status the frame alone', () => {
    const { store, say, draws } = setUp()
    say(JSON.stringify(wireSnapshot))
    const [apple, microsoft] = [vi.fn(), vi.fn()]
    const stop = store.stocks.watch('AAPL', apple)
    store.stocks.watch('MSFT', microsoft)
    draws.mockClear()
    const frame = store.getFrame()
    say(JSON.stringify(wirePrice))
    vi.advanceTimersByTime(BEAT_MS)
    expect([apple.mock.calls.length, microsoft.mock.calls.length, draws.mock.calls.length]).toEqual([1, 0, 0])
    expect(store.getFrame()).toBe(frame)
    say(JSON.stringify({ type: 'status', seq: 3, status: { ...wireStatus, paused: true } }))
    vi.advanceTimersByTime(BEAT_MS)
    expect([apple.mock.calls.length, microsoft.mock.calls.length, draws.mock.calls.length]).toEqual([1, 0, 1])
    expect(store.getFrame().status?.paused).toBe(true)
    stop()
    say(JSON.stringify({ ...wirePrice, seq: 4, price: 11 }))
    vi.advanceTimersByTime(BEAT_MS)
    expect(apple).toHaveBeenCalledTimes(1)
    expect(store.stocks.read('AAPL')?.price).toBe(11)
  })

  it('survives garbage, and says so when not even the snapshot can be read', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const { store, say } = setUp()
    say('{"type":"snapshot","seq":"x"}')
    vi.advanceTimersByTime(BEAT_MS)
    expect(store.getFrame()).toMatchObject({ unreadable: true, connection: { state: 'open' } })
    say(JSON.stringify(wireSnapshot))
    for (const text of ['{', '[]']) say(text)
    say(JSON.stringify(wirePrice))
    vi.advanceTimersByTime(BEAT_MS)
    expect(store.getFrame()).toMatchObject({ unreadable: false, tickers: ['AAPL', 'MSFT'] })
    expect(store.stocks.read('AAPL')?.price).toBe(10.6)
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
