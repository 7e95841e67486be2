import { useEffect, useMemo, useRef, useState } from 'react'

import type { LiveStock } from '@/lib/stream'

import { matchesFilter, orderTickers, type Sort } from './order'

/** Rows change places at most this often, ms: a table that jumps with each tick cannot be read. */
const REORDER_EVERY_MS = 5_000

/** The stocks to show, filtered and in order. Values are always current; places change calmly, never under the pointer. */
export function useOrder(stocks: readonly LiveStock[], sort: Sort, filter: string, held: boolean): LiveStock[] {
  const stocksRef = useRef(stocks)
  useEffect(() => {
    stocksRef.current = stocks
  }, [stocks])

  const members = stocks.map(({ ticker }) => ticker).join(' ')
  const key = `${sort.key} ${sort.descending} ${members}`
  const [order, setOrder] = useState<{ key: string; tickers: string[] }>({ key: '', tickers: [] })

  useEffect(() => {
    if (held) return
    const timer = setInterval(() => {
      setOrder({ key, tickers: orderTickers(stocksRef.current, sort) })
    }, REORDER_EVERY_MS)
    return () => {
      clearInterval(timer)
    }
  }, [held, key, sort])

  // Another sort or another set of stocks counts at once.
  if (order.key !== key) setOrder({ key, tickers: orderTickers(stocks, sort) })

  return useMemo(() => {
    const byTicker = new Map(stocks.map((stock) => [stock.ticker, stock]))
    return order.tickers.flatMap((ticker) => {
      const stock = byTicker.get(ticker)
      return stock && matchesFilter(stock, filter) ? [stock] : []
    })
  }, [order, stocks, filter])
}
