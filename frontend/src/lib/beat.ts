/** The page changes what it shows at most this often, ms, however fast prices come. */
export const BEAT_MS = 200

/**
 * How long to wait for the first beat that is at least `ms` away. What changes on its own waits for a beat, so that the
 * browser lays out and paints the page once for all of it.
 */
export function untilBeat(ms: number, now: number = performance.now()): number {
  return Math.ceil((now + ms) / BEAT_MS) * BEAT_MS - now
}
