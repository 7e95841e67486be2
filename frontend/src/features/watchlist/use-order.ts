import { useEffect, useMemo, useState } from 'react'

import type { StockFeed } from '@/lib/stream'

import { matchesFilter, orderTickers, type Sort } from './order'

/** Rows change places at most this often, ms: a table that jumps with each tick cannot be read. */
const REORDER_EVERY_MS = 5_000

/** The tickers to show, filtered and in order. Values are always current; places change calmly, never under the pointer. */
export function useOrder(
  feed: StockFeed,
  members: readonly string[],
  sort: Sort,
  filter: string,
  held: boolean,
): readonly string[] {
  const key = `${sort.key} ${sort.descending} ${members.join(' ')}`
  const [order, setOrder] = useState<{ key: string; tickers: string[] }>({ key: '', tickers: [] })

  useEffect(() => {
    if (held) return
    const timer = setInterval(() => {
      const tickers = orderTickers(feed.readAll(), sort)
      setOrder((before) =>
        before.key === key && before.tickers.join(' ') === tickers.join(' ') ? before : { key, tickers },
      )
    }, REORDER_EVERY_MS)
    return () => {
      clearInterval(timer)
    }
  }, [feed, held, key, sort])

  // Another sort or another set of stocks counts at once.
  if (order.key !== key) setOrder({ key, tickers: orderTickers(feed.readAll(), sort) })

  return useMemo(
    () =>
      order.tickers.filter((ticker) => {
        const stock = feed.read(ticker)
        return stock !== null && matchesFilter(stock, filter)
      }),
    [feed, order, filter],
  )
}
