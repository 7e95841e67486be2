import { useCallback, useSyncExternalStore } from 'react'

import { type Interval, INTERVALS } from '@/features/chart/intervals'

/** What the page shows, kept in the address (`#AAPL/5m`) so that a reload or a bookmark finds it again. */
export interface Choice {
  /** Null: the first ticker there is; where only one of both has room, the list of them. */
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

type Choose = (choice: Choice, options?: { keepsBefore: boolean }) => void

/** The choice, and how to change it: with `keepsBefore` the browser's Back leads to the one before. */
export function useChoice(): [Choice, Choose] {
  const hash = useSyncExternalStore(
    subscribe,
    () => window.location.hash,
    () => '',
  )
  const choose = useCallback<Choose>(({ ticker, interval }, options) => {
    // As a rule replaced, not pushed: moving through the tickers must not fill the browser's history.
    const how = options?.keepsBefore === true ? 'pushState' : 'replaceState'
    window.history[how](null, '', `#${ticker ?? ''}/${interval}`)
    window.dispatchEvent(new HashChangeEvent('hashchange'))
  }, [])
  return [parseChoice(hash), choose]
}
