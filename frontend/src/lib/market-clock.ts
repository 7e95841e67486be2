import { formatAge, formatDay, formatTime, newYorkDay, newYorkMinute } from './format'
import type { EpochMs, Status } from './wire'

/** Without a new price for this long in an open market, a ticker is stale. */
const STALE_AFTER_MS = 3 * 60_000
/** What the way from the market to the page may take in real time; a replay runs on meanwhile. */
const TRANSPORT_MS = 5_000
/** So long before a close a thin stock may have traded last: the api waits as long before it misses the bars of one. */
const THIN_MS = 15 * 60_000
/** Sessions open at 09:30 in New York. */
const OPENING_MINUTE = 9 * 60 + 30

/** The market's clock as the server last told it. */
export interface MarketClock {
  /** The market's time when it was told. */
  time: EpochMs
  /** This machine's time then. */
  receivedAt: EpochMs
  /** Market time that passes meanwhile; 0 while it stands still. */
  rate: number
  /** It was shown already: the clock stands until the server's has caught up with it. */
  floor: EpochMs
}

/** The market's time now: the server's clock, run on since its last word. Never goes back within one run of the market. */
export function marketNow({ time, receivedAt, rate, floor }: MarketClock, now: EpochMs): EpochMs {
  return Math.max(floor, time + Math.max(0, now - receivedAt) * rate)
}

/** The clock after the server's word. A time that is further back than a message may be late is another run's. */
export function setClock(
  before: MarketClock | null,
  { now: time, speed, paused }: Pick<Status, 'now' | 'speed' | 'paused'>,
  receivedAt: EpochMs,
): MarketClock {
  const shown = before === null ? time : marketNow(before, receivedAt)
  const ahead = shown - time
  const floor = ahead > 0 && ahead <= TRANSPORT_MS * Math.max(1, speed) ? shown : time
  return { time, receivedAt, rate: paused ? 0 : speed, floor }
}

/** The clock without a connection: it would only guess, so it stands. */
export function stopClock(clock: MarketClock, now: EpochMs): MarketClock {
  const time = marketNow(clock, now)
  return { time, receivedAt: now, rate: 0, floor: time }
}

/** `47 min old`, `of Fri 23 Mar`: how old a price is. */
function describePriceAge(priceTime: EpochMs, at: EpochMs): string {
  return newYorkDay(priceTime) === newYorkDay(at) ? `${formatAge(at - priceTime)} old` : `of ${formatDay(priceTime)}`
}

/**
 * How old a price is, in words, when that is too old, else null. While the market is closed, and until a session that
 * has just begun can have a price, one of the last session's end is fresh. Without a connection none is known to be.
 */
export function describeStalePrice(
  priceTime: EpochMs | null,
  { market, speed, last_close, connected }: Omit<Market, 'clock'>,
  at: EpochMs,
): string | null {
  if (priceTime === null) return null
  if (!connected) {
    return `of ${newYorkDay(priceTime) === newYorkDay(at) ? formatTime(priceTime) : formatDay(priceTime)}`
  }
  const tolerance = STALE_AFTER_MS + TRANSPORT_MS * speed
  const sinceOpening = Math.max(0, newYorkMinute(at) - OPENING_MINUTE) * 60_000
  const before = market === 'closed' || sinceOpening <= tolerance
  const end = before ? (last_close ?? -Infinity) - THIN_MS : at - tolerance
  return priceTime < end ? describePriceAge(priceTime, at) : null
}

/** The market as the page goes by it. */
export interface Market extends Pick<Status, 'market' | 'speed' | 'last_close'> {
  clock: MarketClock
  /** Without a connection nothing is known of the present: what is shown is the last that was. */
  connected: boolean
}
