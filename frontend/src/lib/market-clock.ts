import type { EpochMs, Status } from './wire'

/** Without a new price for this long in an open market, a ticker is stale. */
const STALE_AFTER_MS = 3 * 60_000
/** What the way from the market to the page may take in real time; a replay runs on meanwhile. */
const TRANSPORT_MS = 5_000

/** The market's time now: the server's clock, run on at its speed since its last word. */
export function marketNow(status: Status, receivedAt: EpochMs, now: EpochMs): EpochMs {
  return status.now + Math.max(0, now - receivedAt) * status.speed
}

/**
 * How old a price is when that is too old, else null. A closed market's prices are as fresh as can be, and in one
 * that has just opened nothing can be older than the opening.
 */
export function staleAge(
  priceTime: EpochMs | null,
  status: Status,
  openedAt: EpochMs | null,
  at: EpochMs,
): number | null {
  if (priceTime === null || status.market === 'closed') return null
  const age = at - Math.max(priceTime, openedAt ?? 0)
  return age > STALE_AFTER_MS + TRANSPORT_MS * status.speed ? age : null
}
