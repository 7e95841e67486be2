import { useRef } from 'react'

import { useFlash } from '@/lib/flash'
import { DIRECTION_GLYPH, directionOf, formatChange, formatPercent, formatPrice } from '@/lib/format'
import type { Market } from '@/lib/market-clock'
import { type LiveStock, type StockFeed, useStock, wholeStock } from '@/lib/stream'
import { useStalePrice } from '@/lib/use-stale-price'

import styles from './dashboard.module.css'

interface Props {
  feed: StockFeed
  /** Null before any is known. */
  ticker: string | null
  market: Market | null
}

/** Who it is, what it costs and how old that is. Watches its stock by itself, so that a price draws no more than this. */
export function StockTitle({ feed, ticker, market }: Props) {
  const stock = useStock(feed, ticker, wholeStock)
  const stale = useStalePrice(feed, ticker, market)
  if (stock === null) return <h2 className={styles.ticker}>…</h2>
  return <Quote key={stock.ticker} stock={stock} stale={stale} />
}

function Quote({ stock, stale }: { stock: LiveStock; stale: string | null }) {
  const { ticker, name, sector, price, change, change_percent } = stock
  const direction = directionOf(change)
  const priceRef = useRef<HTMLSpanElement>(null)
  useFlash(priceRef, stock)
  const description = [name === ticker ? '' : name, sector ?? ''].filter((part) => part !== '').join(' · ')
  return (
    <>
      <h2 className={styles.ticker}>
        {ticker} {description !== '' && <small data-name="">{description}</small>}
      </h2>
      <p className={styles.quote} data-testid="quote" data-stale={stale !== null}>
        <span ref={priceRef} className={styles.price}>
          {formatPrice(price)}
        </span>
        {stale !== null && <span className={styles.stale}>{stale}</span>}
        {change !== null && (
          <span className={styles.change} data-direction={direction} title="Since the previous close">
            <span aria-hidden="true">{DIRECTION_GLYPH[direction]}</span> {formatChange(change)} (
            {formatPercent(change_percent)})
          </span>
        )}
      </p>
    </>
  )
}
