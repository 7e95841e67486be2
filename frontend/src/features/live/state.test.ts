import { describe, expect, it } from 'vitest'

import { wireAnalysis, wirePrice, wireSnapshot, wireStatus } from '@/lib/test-data'
import { readMessage, type ServerMessage } from '@/lib/wire'

import { INITIAL_STATE, type LiveState, reduce, withConnection } from './state'

function message(wire: object): ServerMessage {
  const { value, faults } = readMessage(JSON.stringify(wire))
  if (!value) throw new Error(faults.join())
  return value
}

function after(...wires: object[]): LiveState {
  return wires.reduce<LiveState>((state, wire) => reduce(state, message(wire), 5_000), INITIAL_STATE)
}

const apple = (state: LiveState) => state.stocks.find(({ ticker }) => ticker === 'AAPL')

describe('reduce', () => {
  it('begins with the snapshot and ignores what comes before it', () => {
    expect(after(wirePrice)).toBe(INITIAL_STATE)
    const state = after(wireSnapshot)
    expect(state).toMatchObject({ snapshots: 1, seq: 1, disclaimer: 'No advice.', clock: { receivedAt: 5_000 } })
    expect(apple(state)).toMatchObject({ price: 10.5, move: null, moves: 0 })
  })

  it('moves a price and says which way', () => {
    const up = after(wireSnapshot, wirePrice)
    expect(apple(up)).toMatchObject({ price: 10.6, change: 0.6, move: 'up', moves: 1 })
    const same = reduce(up, message({ ...wirePrice, seq: 3 }), 0)
    expect(apple(same)).toMatchObject({ move: 'up', moves: 1 })
    const down = reduce(same, message({ ...wirePrice, seq: 4, price: 10.4 }), 0)
    expect(apple(down)).toMatchObject({ move: 'down', moves: 2 })
    expect(down.stocks[1]).toBe(up.stocks[1])
  })

  it('ignores repeated and old sequence numbers', () => {
    const state = after(wireSnapshot, wirePrice)
    expect(reduce(state, message({ ...wirePrice, price: 99 }), 0)).toBe(state)
  })

  it('does not turn the price back when a closed bar comes late', () => {
    const state = after(wireSnapshot, wirePrice, { ...wirePrice, seq: 3, time: '2018-03-26T13:31:00Z', price: 9 })
    expect(apple(state)?.price).toBe(10.6)
  })

  it('keeps the newest analysis', () => {
    const newer = { ...wireAnalysis, bar: { ...wireAnalysis.bar, time: '2018-03-26T13:31:00Z' } }
    const state = after(
      wireSnapshot,
      { type: 'analysis', seq: 2, ...newer },
      { type: 'analysis', seq: 3, ...wireAnalysis },
    )
    expect(apple(state)?.analysis?.bar_time).toBe(Date.parse('2018-03-26T13:31:00Z'))
  })

  it('ignores a ticker that is not on the list', () => {
    expect(after(wireSnapshot, { ...wirePrice, ticker: 'ZZZ' }).stocks).toHaveLength(2)
  })

  it('lets the clock stand while the market is paused, and when the connection is lost', () => {
    const now = Date.parse(wireStatus.now)
    const paused = after(wireSnapshot, { type: 'status', seq: 2, status: { ...wireStatus, paused: true } })
    expect(paused.clock).toMatchObject({ rate: 0 })
    const lost = withConnection(after(wireSnapshot), { state: 'waiting', attempt: 1, retryAtMs: 0 }, 6_000)
    expect(lost.clock).toMatchObject({ time: now + 60_000, rate: 0 })
    expect(withConnection(lost, { state: 'retrying', attempt: 1 }, 9_000)).toMatchObject({
      seq: -1,
      clock: { time: now + 60_000, rate: 0 },
    })
  })

  it('takes a new snapshot whole and flashes what moved meanwhile', () => {
    const [first] = wireSnapshot.stocks
    const state = after(wireSnapshot, wirePrice, { ...wireSnapshot, seq: 1, stocks: [{ ...first, price: 12 }] })
    expect(state).toMatchObject({ snapshots: 2, seq: 1 })
    expect(state.stocks).toHaveLength(1)
    expect(apple(state)).toMatchObject({ price: 12, move: 'up', moves: 2 })
  })
})
