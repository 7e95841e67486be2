'use client'

import { useCallback, useRef } from 'react'

import { ModelsCard, RecommendationCard } from '@/features/analysis/analysis-panel'
import { usePredictions } from '@/features/analysis/predictions'
import { RecentList } from '@/features/analysis/recent-list'
import { IntervalPicker } from '@/features/chart/interval-picker'
import { INTERVALS } from '@/features/chart/intervals'
import { PriceChart } from '@/features/chart/price-chart'
import { QualityNotice } from '@/features/data-quality/quality-notice'
import { EconomyStrip } from '@/features/economy/economy-strip'
import { useLive } from '@/features/live/use-live'
import { NewsCard } from '@/features/news/news-card'
import { ConnectionBadge } from '@/features/status/connection-badge'
import { MarketClock } from '@/features/status/market-clock'
import { Notices } from '@/features/status/notices'
import { describeSource, SourceLabel } from '@/features/status/source-label'
import { Watchlist } from '@/features/watchlist/watchlist'
import { DIRECTION_GLYPH, directionOf, formatChange, formatPercent, formatPrice } from '@/lib/format'
import { marketNow, staleAge } from '@/lib/market-clock'
import type { LiveStock } from '@/lib/stream'
import { useNow } from '@/lib/use-now'
import type { EpochMs, Status } from '@/lib/wire'

import styles from './dashboard.module.css'
import { Logo } from './logo'
import { SidePanel } from './side-panel'
import { useChoice } from './use-choice'
import { useKeyboard } from './use-keyboard'

/** Shown until the api has sent its own. */
const DISCLAIMER =
  'Tandem is a statistical model, not investment advice. Its probabilities can be wrong and past results promise nothing; you can lose money. Decide for yourself.'

/** The page. Knows every feature; no feature knows another. */
export function Dashboard() {
  const { live, follow, retryNow } = useLive()
  const { connection, status, statusReceivedAt, openedAt, stocks, snapshots } = live
  const [choice, choose] = useChoice()
  const now = useNow(1_000)

  const stock = stocks.find(({ ticker }) => ticker === choice.ticker) ?? stocks[0] ?? null
  const ticker = stock?.ticker ?? null
  const predictions = usePredictions(ticker, follow, snapshots)
  const verdict = predictions.verdicts[0] ?? stock?.analysis ?? null
  const analysis = stock?.analysis?.bar_time === verdict?.bar_time ? (stock?.analysis ?? null) : null

  const filterRef = useRef<HTMLInputElement>(null)
  const detailRef = useRef<HTMLDivElement>(null)
  const shownRef = useRef<string[]>([])
  const onShown = useCallback((tickers: string[]) => {
    shownRef.current = tickers
  }, [])

  const { interval } = choice
  const select = useCallback(
    (next: string) => {
      choose({ ticker: next, interval })
      // On a phone the table stands below the chart.
      detailRef.current?.scrollIntoView({ block: 'nearest' })
    },
    [choose, interval],
  )
  const step = useCallback(
    (by: 1 | -1) => {
      const shown = shownRef.current
      const index = ticker === null ? -1 : shown.indexOf(ticker)
      const next = index === -1 ? shown[0] : shown[Math.min(shown.length - 1, Math.max(0, index + by))]
      if (next) choose({ ticker: next, interval })
    },
    [choose, interval, ticker],
  )
  const onDigit = useCallback(
    (index: number) => {
      const chosen = INTERVALS[index]
      if (chosen) choose({ ticker, interval: chosen })
    },
    [choose, ticker],
  )
  useKeyboard({ filterRef, onStep: step, onDigit })

  const marketTime = status && marketNow(status, statusReceivedAt, now)
  const connected = connection.state === 'open' || connection.state === 'stale'
  const staleAgeOf = (priceTime: EpochMs | null) =>
    status && marketTime !== null && connected ? staleAge(priceTime, status, openedAt, marketTime) : null

  return (
    <div className={styles.page} data-source={status?.source} data-lost={!connected && snapshots > 0}>
      <title>{describeTab(stock, status)}</title>
      <header className={styles.header}>
        <h1>
          <Logo /> Tandem
        </h1>
        {status && <SourceLabel status={status} />}
        <span className={styles.spacer} />
        {status && (
          <div className={styles.clock}>
            <MarketClock status={status} receivedAt={statusReceivedAt} running={connected} />
          </div>
        )}
        <ConnectionBadge connection={connection} onRetry={retryNow} />
      </header>
      <div className={styles.notices}>
        <Notices status={status} connection={connection} />
      </div>
      <main className={styles.main}>
        <div className={styles.overview}>
          <Watchlist
            stocks={stocks}
            selected={ticker}
            onSelect={select}
            staleAgeOf={staleAgeOf}
            filterRef={filterRef}
            onShown={onShown}
          />
          {status?.phase === 'running' && <p className={styles.state}>{status.message}</p>}
        </div>
        <article className={styles.detail} aria-label={stock ? `${stock.ticker} in detail` : 'Detail'}>
          <div className={styles.detailTop} ref={detailRef}>
            <div className={styles.detailHeader}>
              {stock ? <StockTitle stock={stock} /> : <h2 className={styles.ticker}>…</h2>}
              <span className={styles.spacer} />
              <div className={styles.stepper}>
                <button
                  type="button"
                  className="button"
                  aria-label="Previous ticker"
                  onClick={() => {
                    step(-1)
                  }}
                >
                  ‹
                </button>
                <button
                  type="button"
                  className="button"
                  aria-label="Next ticker"
                  onClick={() => {
                    step(1)
                  }}
                >
                  ›
                </button>
              </div>
              <IntervalPicker
                value={interval}
                onChange={(chosen) => {
                  choose({ ticker, interval: chosen })
                }}
              />
            </div>
            {ticker !== null && <QualityNotice ticker={ticker} snapshots={snapshots} />}
          </div>
          <div className={styles.chart}>
            {ticker !== null && (
              <PriceChart
                ticker={ticker}
                interval={interval}
                follow={follow}
                snapshots={snapshots}
                generation={status?.phase ?? ''}
                verdicts={predictions.verdicts}
                onVisibleFrom={predictions.reachBackTo}
                emptyText={
                  status?.phase === 'backfilling'
                    ? `No bars of ${ticker} yet: history is being fetched.`
                    : `No bars of ${ticker} yet.`
                }
              />
            )}
          </div>
          <div className={styles.panel}>
            <RecommendationCard
              verdict={verdict}
              analysis={analysis}
              now={marketTime}
              loading={predictions.state === 'loading'}
              state={status?.message ?? null}
            />
            <ModelsCard verdict={verdict} loading={predictions.state === 'loading'} />
            <SidePanel
              news={(title) => <NewsCard ticker={ticker} snapshots={snapshots} title={title} />}
              recent={(title) => (
                <RecentList
                  verdicts={predictions.verdicts}
                  state={predictions.state}
                  message={predictions.message}
                  title={title}
                />
              )}
            />
          </div>
        </article>
      </main>
      <div className={styles.economy}>
        <EconomyStrip snapshots={snapshots} />
      </div>
      <footer className={styles.footer}>
        <p data-testid="disclaimer">{live.disclaimer ?? DISCLAIMER}</p>
        <p className={styles.keys} aria-hidden="true">
          <kbd>↑</kbd>
          <kbd>↓</kbd> ticker <kbd>/</kbd> filter <kbd>1</kbd>–<kbd>5</kbd> interval
        </p>
      </footer>
    </div>
  )
}

function StockTitle({ stock }: { stock: LiveStock }) {
  const { ticker, name, sector, price, change, change_percent, move, moves } = stock
  const direction = directionOf(change)
  return (
    <>
      <h2 className={styles.ticker}>
        {ticker} <small>{sector === null ? name : `${name} · ${sector}`}</small>
      </h2>
      <p className={styles.quote}>
        <span key={moves} className={styles.price} data-flash={moves > 0 ? move : null}>
          {formatPrice(price)}
        </span>
        {change !== null && (
          <span data-direction={direction} title="Since the previous close">
            <span aria-hidden="true">{DIRECTION_GLYPH[direction]}</span> {formatChange(change)} (
            {formatPercent(change_percent)})
          </span>
        )}
      </p>
    </>
  )
}

/** For the tab: tells the price, and never hides that it is not a live one. */
function describeTab(stock: LiveStock | null, status: Status | null): string {
  const source = status && status.source !== 'live' ? `${describeSource(status)} · ` : ''
  return stock ? `${source}${stock.ticker} ${formatPrice(stock.price)} · Tandem` : 'Tandem'
}
