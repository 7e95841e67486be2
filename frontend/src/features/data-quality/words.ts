import { formatDate, formatShare, formatTime, formatVolume, momentOfDay, newYorkDay } from '@/lib/format'
import type { EpochMs, Finding, Gap } from '@/lib/wire'

import type { Quality } from './data-quality'

const DECIMALS = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 2 })

/** `16 Mar 2026, 10:02 to 10:44` */
function formatSpan(start: EpochMs, end: EpochMs): string {
  const last = newYorkDay(start) === newYorkDay(end) ? formatTime(end) : `${formatDate(end)}, ${formatTime(end)}`
  return `${formatDate(start)}, ${formatTime(start)} to ${last}`
}

function plural(number: number, one: string, more: string): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : more}`
}

/** An open gap in a sentence. */
export function describeGap({ start, end, reason, expected_bars }: Gap): string {
  switch (reason) {
    case 'missing_session':
      return `The prices of ${formatDate(start)} are missing.`
    case 'stopped':
      return `No prices came from ${formatSpan(start, end)} while others had some: trading in it may have been halted or ended.`
    default:
      return `About ${plural(expected_bars, 'minute is', 'minutes are')} missing: ${formatSpan(start, end)}.`
  }
}

/** What was done about it: empty before the first try. */
export function describeTries({ attempts }: Gap): string {
  return attempts === 0 ? '' : ` Asked for again ${plural(attempts, 'time', 'times')}.`
}

/** A finding in a sentence. */
export function describeFinding({ session, check, observed, expected, detail }: Finding): string {
  const day = formatDate(momentOfDay(session))
  switch (check) {
    case 'zero_volume_minutes':
      return `${day}: ${formatShare(observed)} of the minutes have no volume, at most ${formatShare(expected)} are usual.`
    case 'session_volume':
      return `${day}: ${formatVolume(observed)} shares were traded, about ${formatVolume(expected)} are usual.`
    case 'daily_volume':
      return `${day}: the minutes add up to ${DECIMALS.format(observed / expected)} times the volume that the vendor gives for the day.`
    default:
      return `${day}: ${detail}.`
  }
}

const PRICES = 'Prices do not go on at the same level'
const VOLUMES = 'Volumes look wrong'
const EITHER = 'Prices or volumes look wrong'
/** What a check finds to be wrong; of one that is not known yet, either. */
const FOUND_BY: Partial<Record<string, string>> = {
  price_step: PRICES,
  share_basis: PRICES,
  zero_volume_minutes: VOLUMES,
  session_volume: VOLUMES,
  daily_volume: VOLUMES,
}

/** `Volumes look wrong on 2 days, 16 Mar 2026 to 19 Mar 2026.`; nothing without findings. */
function describeDays(words: string, findings: readonly Finding[], more: string): string[] {
  const days = [...new Set(findings.map(({ session }) => session))].sort()
  const [first, last] = [days[0], days.at(-1)]
  if (first === undefined || last === undefined) return []
  const [from, to] = [first, last].map((day) => formatDate(momentOfDay(day)))
  return [`${words} on ${days.length === 1 ? from : `${days.length}${more} days, ${from} to ${to}`}.`]
}

/** All in a line; null when nothing is wrong. */
export function summarise({ openGaps, gaps, totalFindings, findings }: Quality): string | null {
  const parts = []
  const [gap] = gaps
  if (openGaps === 1 && gap) {
    parts.push(describeGap(gap))
  } else if (openGaps > 0) {
    parts.push(`Prices are missing in ${openGaps.toLocaleString('en-US')} places.`)
  }
  const closures = findings.filter(({ check }) => check === 'nobody_traded')
  parts.push(...closures.map(describeFinding))
  const doubtful = findings.filter(({ check }) => check !== 'nobody_traded')
  const more = totalFindings > findings.length ? ' and more' : ''
  for (const words of [PRICES, VOLUMES, EITHER]) {
    const found = doubtful.filter(({ check }) => (FOUND_BY[check] ?? EITHER) === words)
    parts.push(...describeDays(words, found, more))
  }
  if (doubtful.length === 0 && totalFindings > closures.length) parts.push('Some prices or volumes look wrong.')
  return parts.length === 0 ? null : parts.join(' ')
}
