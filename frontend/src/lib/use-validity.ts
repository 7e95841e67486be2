import { type Market, marketNow } from './market-clock'
import { type Validity, validityOf } from './signal'
import { useClock } from './use-now'
import type { Verdict } from './wire'

/** Whether what was said still stands. Looked at every second. */
export function useValidity(verdict: Verdict, market: Market | null): Validity {
  return useClock<Validity>(
    1_000,
    (now) => validityOf(verdict, market, market && marketNow(market.clock, now)),
    'valid',
  )
}
