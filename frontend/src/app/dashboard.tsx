'use client'

import { useCallback, useEffect, useMemo, useRef, useState } from 'react'

import { INTERVALS } from '@/features/chart/intervals'
import { EconomyStrip } from '@/features/economy/economy-strip'
import { useLive } from '@/features/live/use-live'
import { ConnectionBadge } from '@/features/status/connection-badge'
import { MarketClock } from '@/features/status/market-clock'
import { ModelsBadge } from '@/features/status/models-badge'
import { Notices } from '@/features/status/notices'
import { SourceLabel } from '@/features/status/source-label'
import { Watchlist } from '@/features/watchlist/watchlist'

import styles from './dashboard.module.css'
import { Detail } from './detail'
import { Logo } from './logo'
import { TabTitle } from './tab-title'
import { useChoice } from './use-choice'
import { useKeyboard } from './use-keyboard'
import { NARROW, useMedia } from './use-media'
import { useSwitch } from './use-switch'

/** Shown until the api has sent its own. */
const DISCLAIMER =
  'Tandem is a statistical model, not investment advice. Its probabilities can be wrong and past results promise nothing; you can lose money. Decide for yourself.'

/** The page. Knows every feature; no feature knows another. */
export function Dashboard() {
  const { live, stocks: feed, follow, retryNow } = useLive()
  const { connection, status, clock, tickers, snapshots, unreadable } = live
  const disclaimer = live.disclaimer ?? DISCLAIMER
  const [choice, choose] = useChoice()
  const [characterKeys, setCharacterKeys] = useSwitch('tandem.keys')
  const narrow = useMedia(NARROW)
  const { interval } = choice

  // In one column the list comes first, and a ticker has the page for itself.
  const named = choice.ticker !== null && tickers.includes(choice.ticker) ? choice.ticker : null
  const ticker = named ?? (narrow ? null : (tickers[0] ?? null))
  const alone = narrow && ticker !== null

  // An address with a ticker that is not watched is put right, and said to have been until another is chosen.
  const unknown = tickers.length > 0 && named === null ? choice.ticker : null
  const [notWatched, setNotWatched] = useState<{ ticker: string; instead: string | null } | null>(null)
  if (unknown !== null) {
    if (notWatched?.ticker !== unknown) setNotWatched({ ticker: unknown, instead: ticker })
  } else if (notWatched !== null && notWatched.instead !== choice.ticker) {
    setNotWatched(null)
  }
  useEffect(() => {
    if (unknown !== null) choose({ ticker, interval })
  }, [unknown, choose, ticker, interval])

  const filterRef = useRef<HTMLInputElement>(null)
  const backRef = useRef<HTMLButtonElement>(null)
  const shownRef = useRef<readonly string[]>([])
  /** Where the list was left, to come back to. */
  const leftRef = useRef<{ ticker: string; scrollY: number } | null>(null)
  const onShown = useCallback((shown: readonly string[]) => {
    shownRef.current = shown
  }, [])
  const select = useCallback(
    (next: string) => {
      if (narrow) leftRef.current = { ticker: next, scrollY: window.scrollY }
      choose({ ticker: next, interval }, { keepsBefore: narrow })
    },
    [choose, interval, narrow],
  )
  const back = useCallback(() => {
    if (alone) choose({ ticker: null, interval })
    return alone
  }, [alone, choose, interval])
  useEffect(() => {
    const left = leftRef.current
    if (left === null) return
    if (alone) {
      window.scrollTo(0, 0)
      backRef.current?.focus({ preventScroll: true })
    } else {
      window.scrollTo(0, left.scrollY)
      document
        .querySelector<HTMLElement>(`tr[data-ticker="${CSS.escape(left.ticker)}"]`)
        ?.focus({ preventScroll: true })
      leftRef.current = null
    }
  }, [alone])

  const step = useCallback(
    (by: 1 | -1) => {
      if (ticker === null) return false
      const shown = shownRef.current
      const index = shown.indexOf(ticker)
      const next = index === -1 ? shown[0] : shown[Math.min(shown.length - 1, Math.max(0, index + by))]
      if (next === undefined || next === ticker) return false
      choose({ ticker: next, interval })
      return true
    },
    [choose, interval, ticker],
  )
  const onDigit = useCallback(
    (index: number) => {
      const chosen = INTERVALS[index]
      if (chosen) choose({ ticker, interval: chosen })
      return chosen !== undefined
    },
    [choose, ticker],
  )
  useKeyboard({
    filterRef,
    arrows: !narrow,
    characters: characterKeys && !narrow,
    onStep: step,
    onDigit,
    onEscape: back,
  })

  const connected = connection.state === 'open' || connection.state === 'stale'
  const market = useMemo(() => {
    if (status === null || clock === null) return null
    const { market, speed, last_close } = status
    return { clock, market, speed, last_close, connected }
  }, [status, clock, connected])
  // Beside trouble, silence or a lost connection no sentence says that all is well.
  const sound = connection.state === 'open' && status?.stale === null && status.trouble.length === 0
  const state = sound ? status.message : null
  const lost = !connected && snapshots > 0

  return (
    <div className={styles.page} data-source={status?.source} data-lost={lost}>
      <TabTitle feed={feed} ticker={ticker} market={market} status={status} lost={lost} />
      <header className={styles.header}>
        <h1>
          <Logo /> Tandem
        </h1>
        {status && <SourceLabel status={status} />}
        {status && <ModelsBadge models={status.models} snapshots={snapshots} />}
        <span className={styles.spacer} />
        {status && clock && (
          <div className={styles.clock}>
            <MarketClock status={status} clock={clock} connected={connected} />
          </div>
        )}
        <ConnectionBadge connection={connection} unreadable={unreadable} onRetry={retryNow} />
      </header>
      <section className={styles.notices} aria-label="Notices">
        <Notices
          status={status}
          connection={connection}
          unreadable={unreadable}
          notWatched={notWatched?.ticker ?? null}
        />
      </section>
      <main className={styles.main}>
        <div className={styles.overview} hidden={alone}>
          <Watchlist
            feed={feed}
            tickers={tickers}
            market={market}
            selected={ticker}
            onSelect={select}
            selectsOnMove={!narrow}
            filterRef={filterRef}
            onShown={onShown}
          />
          {status?.phase === 'running' && state !== null && <p className={styles.state}>{state}</p>}
        </div>
        {(!narrow || alone) && (
          <Detail
            feed={feed}
            follow={follow}
            snapshots={snapshots}
            status={status}
            market={market}
            state={state}
            disclaimer={disclaimer}
            ticker={ticker}
            interval={interval}
            onInterval={(chosen) => {
              choose({ ticker, interval: chosen })
            }}
            onStep={step}
            onBack={back}
            backRef={backRef}
          />
        )}
      </main>
      <div className={styles.economy}>
        <EconomyStrip snapshots={snapshots} source={status?.source ?? null} />
      </div>
      <footer className={styles.footer}>
        <p data-testid="disclaimer">{disclaimer}</p>
        <label
          className={styles.keys}
          title="j and k go through the tickers, / filters them, 1 to 5 choose the interval"
        >
          <input
            type="checkbox"
            checked={characterKeys}
            onChange={(event) => {
              setCharacterKeys(event.target.checked)
            }}
          />
          Keys <kbd>j</kbd> <kbd>k</kbd> <kbd>/</kbd> <kbd>1</kbd>–<kbd>5</kbd>
        </label>
      </footer>
    </div>
  )
}
