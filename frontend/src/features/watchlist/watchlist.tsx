import { type KeyboardEvent, memo, type Ref, useCallback, useEffect, useRef, useState } from 'react'

import { useFlash } from '@/lib/flash'
import { DIRECTION_GLYPH, directionOf, formatChange, formatPercent, formatPrice } from '@/lib/format'
import type { Market } from '@/lib/market-clock'
import { SignalBadge } from '@/lib/signal-badge'
import { type LiveStock, type StockFeed, useStock, wholeStock } from '@/lib/stream'
import { useInView } from '@/lib/use-in-view'
import { useStalePrice } from '@/lib/use-stale-price'

import { LiftBars } from './lift-bars'
import type { Sort, SortKey } from './order'
import { useOrder } from './use-order'
import styles from './watchlist.module.css'

interface Column {
  key: SortKey
  label: string
  title: string
  /** Numbers read best from the largest. */
  descendingFirst: boolean
}

const COLUMNS: Column[] = [
  { key: 'ticker', label: 'Ticker', title: 'Ticker', descendingFirst: false },
  { key: 'price', label: 'Price', title: 'Last price, $', descendingFirst: true },
  { key: 'change', label: 'Change', title: 'Change since the previous close', descendingFirst: true },
  {
    key: 'lift',
    label: 'Models',
    title: 'How much likelier than usual the models hold a direction: LSTM above, Transformer below',
    descendingFirst: true,
  },
  { key: 'signal', label: 'Signal', title: 'Signal, and what it expects after costs', descendingFirst: true },
]

/** By how many rows a key moves; Home and End by more than there are. */
const ROWS_BY_KEY: Partial<Record<string, number>> = {
  ArrowDown: 1,
  ArrowUp: -1,
  PageDown: 10,
  PageUp: -10,
  Home: -Infinity,
  End: Infinity,
}

interface Props {
  feed: StockFeed
  /** All there are, in the server's order. */
  tickers: readonly string[]
  /** Null until it is known. */
  market: Market | null
  /** Null while none is shown in detail. */
  selected: string | null
  onSelect: (ticker: string) => void
  /** Whether the keys that move among the rows select, or only move the focus. */
  selectsOnMove: boolean
  /** Where `/` puts the caret. */
  filterRef: Ref<HTMLInputElement>
  /** The tickers as shown, for moving through them. */
  onShown: (tickers: readonly string[]) => void
}

/** All tickers at a glance. */
export function Watchlist({ feed, tickers, market, selected, onSelect, selectsOnMove, filterRef, onShown }: Props) {
  const [sort, setSort] = useState<Sort>({ key: 'ticker', descending: false })
  const [filter, setFilter] = useState('')
  const [held, setHeld] = useState(false)
  const bodyRef = useRef<HTMLTableSectionElement>(null)
  const shown = useOrder(feed, tickers, sort, filter, held)
  useEffect(() => {
    onShown(shown)
  }, [shown, onShown])

  const sortBy = ({ key, descendingFirst }: Column) => {
    setSort((sort) => (sort.key === key ? { key, descending: !sort.descending } : { key, descending: descendingFirst }))
  }
  const focusRow = useCallback((ticker: string) => {
    for (const row of bodyRef.current?.rows ?? []) if (row.dataset.ticker === ticker) row.focus()
  }, [])
  /** The row that is so many below the one given, or the first. */
  const neighbour = (ticker: string | null, by: number) => {
    const index = ticker === null ? -1 : shown.indexOf(ticker)
    return shown[index === -1 ? 0 : Math.min(shown.length - 1, Math.max(0, index + by))]
  }

  const onFilterKey = (event: KeyboardEvent<HTMLInputElement>) => {
    const step = event.key.startsWith('Arrow') ? ROWS_BY_KEY[event.key] : undefined
    const here = selected !== null && shown.includes(selected) ? selected : shown[0]
    if (event.key === 'Escape') {
      if (filter !== '') setFilter('')
      else if (here !== undefined) focusRow(here)
    } else if (event.key === 'Enter') {
      if (here !== undefined) {
        onSelect(here)
        focusRow(here)
      }
    } else if (step !== undefined && selectsOnMove) {
      const next = neighbour(selected, step)
      if (next !== undefined) onSelect(next)
    } else {
      return
    }
    event.preventDefault()
  }

  const onGridKey = (event: KeyboardEvent<HTMLTableElement>) => {
    const { target } = event
    if (!(target instanceof HTMLTableRowElement) || event.ctrlKey || event.metaKey || event.altKey) return
    const by = ROWS_BY_KEY[event.key]
    if (by === undefined) return
    event.preventDefault()
    event.stopPropagation()
    const next = neighbour(target.dataset.ticker ?? null, by)
    if (next === undefined) return
    if (selectsOnMove) onSelect(next)
    focusRow(next)
  }

  return (
    <section className={styles.watchlist} aria-label="Tickers">
      <div className={styles.filter}>
        <input
          ref={filterRef}
          type="search"
          value={filter}
          placeholder="Filter by ticker, name or sector"
          aria-label="Filter tickers"
          aria-keyshortcuts="/"
          spellCheck={false}
          onChange={(event) => {
            setFilter(event.target.value)
          }}
          onKeyDown={onFilterKey}
        />
        <kbd aria-hidden="true">/</kbd>
      </div>
      <div
        className={styles.scroll}
        onPointerEnter={() => {
          setHeld(true)
        }}
        onPointerLeave={() => {
          setHeld(false)
        }}
      >
        <table
          className={styles.table}
          role="grid"
          aria-label="Prices, models and signals"
          data-testid="watchlist"
          onKeyDown={onGridKey}
        >
          <thead>
            <tr>
              {COLUMNS.map((column) => (
                <th
                  key={column.key}
                  scope="col"
                  data-column={column.key}
                  aria-sort={sort.key === column.key ? (sort.descending ? 'descending' : 'ascending') : 'none'}
                >
                  <button
                    type="button"
                    title={`${column.title}. Sort.`}
                    onClick={() => {
                      sortBy(column)
                    }}
                  >
                    {column.label}
                    <span aria-hidden="true">{sort.key === column.key ? (sort.descending ? ' ↓' : ' ↑') : ''}</span>
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody ref={bodyRef}>
            {shown.map((ticker, index) => (
              <Row
                key={ticker}
                feed={feed}
                ticker={ticker}
                market={market}
                selected={ticker === selected}
                focusable={ticker === selected || (index === 0 && (selected === null || !shown.includes(selected)))}
                onSelect={onSelect}
              />
            ))}
            {tickers.length === 0 && <Skeleton />}
          </tbody>
        </table>
        {tickers.length > 0 && shown.length === 0 && (
          <p className={styles.none} role="status">
            Nothing matches “{filter}”. Esc clears the filter.
          </p>
        )}
      </div>
    </section>
  )
}

interface RowProps {
  feed: StockFeed
  ticker: string
  market: Market | null
  selected: boolean
  focusable: boolean
  onSelect: (ticker: string) => void
}

/** Watches its stock by itself, so that a price draws one row. */
const Row = memo(function Row({ feed, ticker, market, selected, focusable, onSelect }: RowProps) {
  const rowRef = useRef<HTMLTableRowElement>(null)
  // What is scrolled out of sight is drawn with the next status, not with each price.
  const stock = useStock(feed, ticker, wholeStock, useInView(rowRef))
  useEffect(() => {
    const row = rowRef.current
    if (!selected || !row) return
    keepInView(row)
    // Focus follows only where it already is among the rows.
    if (row.parentElement?.contains(document.activeElement)) row.focus({ preventScroll: true })
  }, [selected])
  const stale = useStalePrice(feed, ticker, market)

  return (
    <tr
      ref={rowRef}
      tabIndex={focusable ? 0 : -1}
      aria-selected={selected}
      data-ticker={ticker}
      data-stale={stale !== null}
      onClick={() => {
        onSelect(ticker)
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter' || event.key === ' ') {
          event.preventDefault()
          onSelect(ticker)
        }
      }}
    >
      {stock && <Cells stock={stock} market={market} stale={stale} />}
    </tr>
  )
})

function Cells({ stock, market, stale }: { stock: LiveStock; market: Market | null; stale: string | null }) {
  const { ticker, name, price, change, change_percent, analysis } = stock
  const direction = directionOf(change)
  const priceRef = useRef<HTMLSpanElement>(null)
  useFlash(priceRef, stock)
  return (
    <>
      <th scope="row" className={styles.name}>
        <strong>{ticker}</strong>
        {name !== ticker && <span data-name="">{name}</span>}
      </th>
      <td className={styles.number}>
        <span ref={priceRef} className={styles.price} data-testid="price">
          {formatPrice(price)}
        </span>
        {stale !== null && <span className={styles.stale}>{stale}</span>}
      </td>
      <td className={styles.number} data-direction={direction}>
        <span>
          <span className={styles.glyph} aria-hidden="true">
            {DIRECTION_GLYPH[direction]}
          </span>
          {formatPercent(change_percent)}
        </span>
        <span className={styles.minor}>{formatChange(change)}</span>
      </td>
      <td className={styles.models}>
        <LiftBars analysis={analysis} />
      </td>
      <td className={styles.signal}>
        {analysis ? (
          <SignalBadge verdict={analysis} market={market} stale={stale !== null} />
        ) : (
          <span className={styles.missing}>–</span>
        )}
      </td>
    </>
  )
}

/** Scrolls the table, never the page, so far that the row is seen below the headings. */
function keepInView(row: HTMLTableRowElement): void {
  const box = row.closest('table')?.parentElement
  const heading = row.closest('table')?.tHead
  if (!box || !heading) return
  const { top, bottom } = row.getBoundingClientRect()
  const view = box.getBoundingClientRect()
  const above = view.top + heading.offsetHeight - top
  const below = bottom - view.bottom
  if (above > 0) box.scrollTop -= above
  else if (below > 0) box.scrollTop += below
}

/** The table before the first snapshot. */
function Skeleton() {
  return Array.from({ length: 20 }, (_, row) => (
    <tr key={row} className={styles.skeleton} aria-hidden="true">
      {COLUMNS.map(({ key }) => (
        <td key={key}>
          <span />
        </td>
      ))}
    </tr>
  ))
}
