import { type KeyboardEvent, memo, type Ref, useEffect, useRef, useState } from 'react'

import {
  ACTION_GLYPH,
  ACTION_LABEL,
  describeRecommendation,
  DIRECTION_GLYPH,
  directionOf,
  formatAge,
  formatChange,
  formatConfidence,
  formatPercent,
  formatPrice,
} from '@/lib/format'
import type { LiveStock } from '@/lib/stream'
import type { EpochMs } from '@/lib/wire'

import { LeanBars } from './lean-bars'
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
  { key: 'lean', label: 'Models', title: 'Lean of both models: LSTM above, Transformer below', descendingFirst: true },
  { key: 'recommendation', label: 'Advice', title: 'Recommendation and its confidence', descendingFirst: true },
]

interface Props {
  stocks: readonly LiveStock[]
  selected: string | null
  onSelect: (ticker: string) => void
  /** Age of a price that is too old, else null. */
  staleAgeOf: (priceTime: EpochMs | null) => number | null
  /** Where `/` puts the caret. */
  filterRef: Ref<HTMLInputElement>
  /** The tickers as shown, for moving through them. */
  onShown: (tickers: string[]) => void
}

/** All tickers at a glance. */
export function Watchlist({ stocks, selected, onSelect, staleAgeOf, filterRef, onShown }: Props) {
  const [sort, setSort] = useState<Sort>({ key: 'ticker', descending: false })
  const [filter, setFilter] = useState('')
  const [held, setHeld] = useState(false)
  const shown = useOrder(stocks, sort, filter, held)
  const tickers = shown.map(({ ticker }) => ticker).join(' ')
  useEffect(() => {
    onShown(tickers === '' ? [] : tickers.split(' '))
  }, [tickers, onShown])

  const sortBy = ({ key, descendingFirst }: Column) => {
    setSort((sort) => (sort.key === key ? { key, descending: !sort.descending } : { key, descending: descendingFirst }))
  }
  const onFilterKey = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === 'Escape') {
      setFilter('')
      event.currentTarget.blur()
    } else if (event.key === 'Enter') {
      const [first] = shown
      if (first) onSelect(first.ticker)
      event.currentTarget.blur()
    }
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
          aria-label="Prices, models and recommendations"
          data-testid="watchlist"
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
          <tbody>
            {shown.map((stock, index) => (
              <Row
                key={stock.ticker}
                stock={stock}
                selected={stock.ticker === selected}
                focusable={
                  stock.ticker === selected || (index === 0 && !shown.some(({ ticker }) => ticker === selected))
                }
                staleAge={staleAgeOf(stock.price_time)}
                onSelect={onSelect}
              />
            ))}
            {stocks.length === 0 && <Skeleton />}
          </tbody>
        </table>
        {stocks.length > 0 && shown.length === 0 && (
          <p className={styles.none} role="status">
            Nothing matches “{filter}”. Esc clears the filter.
          </p>
        )}
      </div>
    </section>
  )
}

interface RowProps {
  stock: LiveStock
  selected: boolean
  focusable: boolean
  staleAge: number | null
  onSelect: (ticker: string) => void
}

const Row = memo(function Row({ stock, selected, focusable, staleAge, onSelect }: RowProps) {
  const { ticker, name, price, change, change_percent, analysis, move, moves } = stock
  const direction = directionOf(change)
  const rowRef = useRef<HTMLTableRowElement>(null)
  useEffect(() => {
    const row = rowRef.current
    if (!selected || !row) return
    keepInView(row)
    // Focus follows only where it already is among the rows.
    if (row.parentElement?.contains(document.activeElement)) row.focus({ preventScroll: true })
  }, [selected])

  return (
    <tr
      ref={rowRef}
      tabIndex={focusable ? 0 : -1}
      aria-selected={selected}
      data-ticker={ticker}
      data-stale={staleAge !== null}
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
      <th scope="row" className={styles.name}>
        <strong>{ticker}</strong>
        <span>{name}</span>
      </th>
      <td className={styles.number}>
        <span key={moves} className={styles.price} data-flash={moves > 0 ? move : null} data-testid="price">
          {formatPrice(price)}
        </span>
        {staleAge !== null && (
          <span className={styles.stale} title={`No new price for ${formatAge(staleAge)}`}>
            {formatAge(staleAge)} old
          </span>
        )}
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
        <LeanBars analysis={analysis} />
      </td>
      <td className={styles.advice}>
        {analysis ? (
          <span
            className="badge"
            data-action={analysis.recommendation.action}
            data-abstained={analysis.recommendation.abstained}
            role="img"
            aria-label={describeRecommendation(analysis.recommendation)}
            title={`${describeRecommendation(analysis.recommendation)}. ${analysis.recommendation.reason}`}
          >
            {ACTION_GLYPH[analysis.recommendation.action]} {ACTION_LABEL[analysis.recommendation.action]}{' '}
            <b>{formatConfidence(analysis.recommendation.confidence)}</b>
          </span>
        ) : (
          <span className={styles.missing}>–</span>
        )}
      </td>
    </tr>
  )
})

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
