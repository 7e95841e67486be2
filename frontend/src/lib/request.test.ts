import { expect, it, vi } from 'vitest'

import { untilMeant } from './request'

it('asks at once for the first ticker, and of those passed quickly for the last alone', async () => {
  vi.useFakeTimers()
  vi.setSystemTime(0)
  await vi.advanceTimersByTimeAsync(1_000)
  const meant: string[] = []
  const choose = (ticker: string) => {
    const abort = new AbortController()
    // Everything that is loaded for a ticker asks for itself.
    for (const what of ['bars', 'news']) {
      untilMeant(ticker, abort.signal).then(
        () => meant.push(`${ticker} ${what}`),
        () => undefined,
      )
    }
    return abort
  }
  let abort = choose('AAPL')
  await vi.advanceTimersByTimeAsync(0)
  expect(meant).toEqual(['AAPL bars', 'AAPL news'])
  for (const ticker of ['BA', 'CAT', 'DIS']) {
    await vi.advanceTimersByTimeAsync(30)
    abort.abort()
    abort = choose(ticker)
  }
  await vi.advanceTimersByTimeAsync(119)
  expect(meant).toHaveLength(2)
  await vi.advanceTimersByTimeAsync(1)
  expect(meant.slice(2)).toEqual(['DIS bars', 'DIS news'])
  vi.useRealTimers()
})
