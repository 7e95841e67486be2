import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { type Polled, startPolling } from './polled'
import { RequestError } from './request'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const EVERY_MS = 30_000

function setUp() {
  const heard: Polled<number>[] = []
  const fetcher = vi.fn((before: number | null) => Promise.resolve((before ?? 0) + 1))
  const polling = startPolling(fetcher, EVERY_MS, (polled) => heard.push(polled))
  return { heard, fetcher, polling }
}

describe('startPolling', () => {
  it('asks at once and then every so often, with the last answer', async () => {
    const { heard } = setUp()
    await vi.advanceTimersByTimeAsync(0)
    expect(heard.map(({ value }) => value)).toEqual([1])
    await vi.advanceTimersByTimeAsync(2 * EVERY_MS)
    expect(heard.map(({ value }) => value)).toEqual([1, 2, 3])
    expect(heard.at(-1)).toMatchObject({ failure: null, loadedAt: Date.now() })
  })

  it('keeps the last answer through a failure, says why and asks again sooner', async () => {
    const { heard, fetcher } = setUp()
    await vi.advanceTimersByTimeAsync(0)
    fetcher.mockRejectedValueOnce(new RequestError('The api cannot be reached.', 'unreachable'))
    await vi.advanceTimersByTimeAsync(EVERY_MS)
    expect(heard.at(-1)).toEqual({ ...heard[0], failure: 'The api cannot be reached.' })
    await vi.advanceTimersByTimeAsync(10_000)
    expect(heard.at(-1)).toMatchObject({ value: 2, failure: null })
  })

  it('waits as long as the answer says', async () => {
    const fetcher = vi.fn(() => Promise.resolve([] as number[]))
    const polling = startPolling<number[]>(
      fetcher,
      (value) => (value?.length === 0 ? 5_000 : EVERY_MS),
      () => undefined,
    )
    await vi.advanceTimersByTimeAsync(5_000)
    expect(fetcher).toHaveBeenCalledTimes(2)
    fetcher.mockResolvedValueOnce([1])
    await vi.advanceTimersByTimeAsync(5_000)
    await vi.advanceTimersByTimeAsync(EVERY_MS - 1)
    expect(fetcher).toHaveBeenCalledTimes(3)
    polling.stop()
  })

  it('asks once when it is told to while it is asking', async () => {
    const { fetcher, polling } = setUp()
    polling.refresh()
    await vi.advanceTimersByTimeAsync(0)
    expect(fetcher).toHaveBeenCalledTimes(1)
    polling.refresh()
    await vi.advanceTimersByTimeAsync(EVERY_MS - 1)
    expect(fetcher).toHaveBeenCalledTimes(2)
  })

  it('is silent once it is stopped, and leaves no timer behind', async () => {
    const { heard, polling } = setUp()
    polling.stop()
    polling.refresh()
    await vi.advanceTimersByTimeAsync(EVERY_MS)
    expect(heard).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})
