import { describeSource } from '@/features/status/source-label'
import { formatPrice } from '@/lib/format'
import type { Market } from '@/lib/market-clock'
import { type StockFeed, useStock } from '@/lib/stream'
import { useStalePrice } from '@/lib/use-stale-price'
import type { Status } from '@/lib/wire'

interface Props {
  feed: StockFeed
  ticker: string | null
  market: Market | null
  status: Status | null
  /** Nothing moves any more. */
  lost: boolean
}

/** The tab's title: tells the price, and never hides that it is not a live one, or an old one. */
export function TabTitle({ feed, ticker, market, status, lost }: Props) {
  const price = useStock(feed, ticker, (stock) => stock.price)
  const stale = useStalePrice(feed, ticker, market)
  return <title>{describeTab({ ticker, price, stale, status, lost })}</title>
}

interface Tab extends Pick<Props, 'ticker' | 'status' | 'lost'> {
  price: number | null
  /** How old the price is, when that is too old. */
  stale: string | null
}

export function describeTab({ ticker, price, stale, status, lost }: Tab): string {
  const source = status && status.source !== 'live' ? `${describeSource(status)} · ` : ''
  if (lost) return `Not connected · ${source}${ticker === null ? '' : `${ticker} · `}Tandem`
  if (ticker === null) return `${source}Tandem`
  return `${source}${ticker} ${formatPrice(price)}${stale === null ? '' : ` (${stale})`} · Tandem`
}
