import { useCallback, useSyncExternalStore } from 'react'

import { type Interval, INTERVALS } from '@/features/chart/intervals'

/** What the page shows, kept in the address (`#AAPL/5m`) so that a reload or a bookmark finds it again. */
export interface Choice {
  /** Null: the first ticker there is. */
  ticker: string | null
  interval: Interval
}

/** Reads a choice from the address's hash; whatever cannot be read is the default. */
export function parseChoice(hash: string): Choice {
  const [ticker = '', interval = ''] = hash.replace(/^#/, '').split('/')
  return {
    ticker: /^[A-Z0-9.^-]{1,12}$/.test(ticker) ? ticker : null,
    interval: INTERVALS.find((name) => name === interval) ?? '1m',
  }
}

function subscribe(listener: () => void): () => void {
  window.addEventListener('hashchange', listener)
  return () => {
    window.removeEventListener('hashchange', listener)
  }
}

export function useChoice(): [Choice, (choice: Choice) => void] {
  const hash = useSyncExternalStore(
    subscribe,
    () => window.location.hash,
    () => '',
  )
  const choose = useCallback(({ ticker, interval }: Choice) => {
    // Replaced, not pushed: moving through the tickers must not fill the browser's history.
    window.history.replaceState(null, '', `#${ticker ?? ''}/${interval}`)
    window.dispatchEvent(new HashChangeEvent('hashchange'))
  }, [])
  return [parseChoice(hash), choose]
}
