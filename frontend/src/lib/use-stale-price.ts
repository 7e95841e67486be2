import { describeStalePrice, type Market, marketNow } from './market-clock'
import type { StockFeed } from './stream'
import { useClock } from './use-now'

/** How old a stock's price is, in words, when that is too old, else null. Looked at every second. */
export function useStalePrice(feed: StockFeed, ticker: string | null, market: Market | null): string | null {
  return useClock(
    1_000,
    (now) => {
      const priceTime = ticker === null ? null : (feed.read(ticker)?.price_time ?? null)
      return market && describeStalePrice(priceTime, market, marketNow(market.clock, now))
    },
    null,
  )
}
