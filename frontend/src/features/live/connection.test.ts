import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import {
  Connection,
  type ConnectionState,
  GIVE_UP_AFTER_MS,
  retryDelayMs,
  type Socket,
  STALE_AFTER_MS,
} from './connection'

class FakeSocket implements Socket {
  onopen: Socket['onopen'] = null
  onmessage: Socket['onmessage'] = null
  onclose: Socket['onclose'] = null
  closed = false

  close() {
    this.closed = true
  }
  accept() {
    this.onopen?.call(this as unknown as WebSocket, new Event('open'))
  }
  say(data: string) {
    this.onmessage?.call(this as unknown as WebSocket, new MessageEvent('message', { data }))
  }
  drop() {
    this.onclose?.call(this as unknown as WebSocket, new Event('close') as CloseEvent)
  }
}

function setUp() {
  const sockets: FakeSocket[] = []
  const states: ConnectionState[] = []
  const texts: unknown[] = []
  const connection = new Connection({
    openSocket: () => {
      const socket = new FakeSocket()
      sockets.push(socket)
      return socket
    },
    onText: (text) => texts.push(text),
    onState: (state) => states.push(state),
    random: () => 1,
  })
  const socket = () => {
    const last = sockets.at(-1)
    if (!last) throw new Error('no socket was opened')
    return last
  }
  return { connection, sockets, states, texts, socket, names: () => states.map(({ state }) => state) }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('Connection', () => {
  it('is open from the first message on', () => {
    const { connection, socket, names, texts } = setUp()
    connection.start()
    socket().accept()
    expect(names()).toEqual(['connecting'])
    socket().say('one')
    socket().say('two')
    expect(names()).toEqual(['connecting', 'open'])
    expect(texts).toEqual(['one', 'two'])
  })

  it('tries again with growing delays and tells when', () => {
    const { connection, socket, sockets, states, names } = setUp()
    connection.start()
    for (const delayMs of [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) {
      const before = sockets.length
      socket().drop()
      expect(states.at(-1)).toMatchObject({ state: 'waiting', retryAtMs: Date.now() + delayMs })
      vi.advanceTimersByTime(delayMs - 1)
      expect(sockets).toHaveLength(before)
      vi.advanceTimersByTime(1)
      expect(sockets).toHaveLength(before + 1)
      expect(names().at(-1)).toBe('retrying')
    }
  })

  it('begins with short delays again after a message, not after a mere opening', () => {
    const { connection, socket, states } = setUp()
    connection.start()
    socket().drop()
    vi.advanceTimersByTime(500)
    socket().accept()
    socket().drop()
    expect(states.at(-1)).toMatchObject({ state: 'waiting', attempt: 2 })
    vi.advanceTimersByTime(1_000)
    socket().say('snapshot')
    socket().drop()
    expect(states.at(-1)).toMatchObject({ state: 'waiting', attempt: 1 })
  })

  it('calls a silent connection stale, then gives it up', () => {
    const { connection, socket, sockets, names } = setUp()
    connection.start()
    socket().say('snapshot')
    vi.advanceTimersByTime(STALE_AFTER_MS)
    expect(names().at(-1)).toBe('stale')
    socket().say('status')
    expect(names().at(-1)).toBe('open')
    const [first] = sockets
    vi.advanceTimersByTime(GIVE_UP_AFTER_MS)
    expect(names().at(-1)).toBe('waiting')
    expect(first?.closed).toBe(true)
  })

  it('gives up an attempt that hangs', () => {
    const { connection, names } = setUp()
    connection.start()
    vi.advanceTimersByTime(10_000)
    expect(names().at(-1)).toBe('waiting')
  })

  it('tries at once when asked, and only while waiting', () => {
    const { connection, socket, sockets } = setUp()
    connection.start()
    connection.retryNow()
    expect(sockets).toHaveLength(1)
    socket().drop()
    connection.retryNow()
    expect(sockets).toHaveLength(2)
    vi.advanceTimersByTime(400)
    expect(sockets).toHaveLength(2)
  })

  it('ends with every timer and hears nothing afterwards', () => {
    const { connection, socket, names, texts } = setUp()
    connection.start()
    socket().say('snapshot')
    const last = socket()
    connection.stop()
    expect(last.closed).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
    last.say('late')
    last.drop()
    expect(texts).toEqual(['snapshot'])
    expect(names()).toEqual(['connecting', 'open'])
  })
})

describe('retryDelayMs', () => {
  it('spreads clients over the upper half of the delay', () => {
    expect(retryDelayMs(3, 0)).toBe(1_000)
    expect(retryDelayMs(3, 1)).toBe(2_000)
    expect(retryDelayMs(500, 1)).toBe(15_000)
  })
})
