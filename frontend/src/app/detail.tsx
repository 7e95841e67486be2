import { type Ref, useMemo } from 'react'

import { ModelsCard } from '@/features/analysis/models-card'
import { usePredictions } from '@/features/analysis/predictions'
import { RecentList } from '@/features/analysis/recent-list'
import { SignalCard } from '@/features/analysis/signal-card'
import { IntervalPicker } from '@/features/chart/interval-picker'
import type { Interval } from '@/features/chart/intervals'
import { PriceChart } from '@/features/chart/price-chart'
import { QualityNotice } from '@/features/data-quality/quality-notice'
import { NewsCard } from '@/features/news/news-card'
import type { Market } from '@/lib/market-clock'
import { besideLosses } from '@/lib/signal'
import { type FollowTicker, type StockFeed, useStock } from '@/lib/stream'
import type { Status } from '@/lib/wire'

import styles from './dashboard.module.css'
import { SidePanel } from './side-panel'
import { StockTitle } from './stock-title'

interface Props {
  feed: StockFeed
  follow: FollowTicker
  snapshots: number
  status: Status | null
  market: Market | null
  /** How the system is, where nothing else tells it; null where something does. */
  state: string | null
  disclaimer: string
  /** Null before any is known. */
  ticker: string | null
  interval: Interval
  onInterval: (interval: Interval) => void
  onStep: (step: 1 | -1) => void
  onBack: () => void
  /** The button that leads back to the list, where both do not fit. */
  backRef: Ref<HTMLButtonElement>
}

/** One stock: its price, its candles, its signal and why, its news. */
export function Detail({
  feed,
  follow,
  snapshots,
  status,
  market,
  state,
  disclaimer,
  ticker,
  interval,
  onInterval,
  onStep,
  onBack,
  backRef,
}: Props) {
  const predictions = usePredictions(ticker, follow, snapshots)
  const analysis = useStock(feed, ticker, (stock) => stock.analysis)
  const verdicts = useMemo(() => besideLosses(predictions.verdicts, feed.readAll()), [predictions.verdicts, feed])
  const stored = verdicts[0] ?? null
  const verdict = analysis !== null && (stored === null || analysis.bar_time >= stored.bar_time) ? analysis : stored
  const loading = predictions.state === 'loading'
  const source = status?.source ?? null
  return (
    <article className={styles.detail} aria-label={ticker === null ? 'Detail' : `${ticker} in detail`}>
      <div className={styles.detailTop}>
        <div className={styles.stepper}>
          <button ref={backRef} type="button" className="button" onClick={onBack}>
            ‹ All tickers
          </button>
          <span className={styles.spacer} />
          <button
            type="button"
            className="button"
            aria-label="Previous ticker"
            onClick={() => {
              onStep(-1)
            }}
          >
            ‹
          </button>
          <button
            type="button"
            className="button"
            aria-label="Next ticker"
            onClick={() => {
              onStep(1)
            }}
          >
            ›
          </button>
        </div>
        <div className={styles.detailHeader}>
          <StockTitle feed={feed} ticker={ticker} market={market} />
          <span className={styles.spacer} />
          <IntervalPicker value={interval} onChange={onInterval} />
        </div>
        {ticker !== null && <QualityNotice ticker={ticker} snapshots={snapshots} />}
      </div>
      <div className={styles.chart}>
        {ticker !== null && (
          <PriceChart
            feed={feed}
            ticker={ticker}
            interval={interval}
            follow={follow}
            snapshots={snapshots}
            generation={status?.phase ?? ''}
            verdicts={verdicts}
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
        <SignalCard
          feed={feed}
          ticker={ticker}
          market={market}
          verdict={verdict}
          analysis={verdict === analysis ? analysis : null}
          loading={loading}
          state={state}
          disclaimer={disclaimer}
        />
        <ModelsCard verdict={verdict} loading={loading} />
        <SidePanel
          news={(title) => <NewsCard ticker={ticker} snapshots={snapshots} source={source} title={title} />}
          recent={(title) => (
            <RecentList
              verdicts={verdicts}
              market={market}
              state={predictions.state}
              message={predictions.message}
              title={title}
            />
          )}
        />
      </div>
    </article>
  )
}
