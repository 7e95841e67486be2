import { formatDate, formatDayMonth, formatMonth, formatYear, momentOfDay, signed } from '@/lib/format'
import type { IsoDay, Series } from '@/lib/wire'

/** How a series is written. */
interface Meaning {
  label: string
  unit: 'percent' | 'index' | 'billion dollars'
  decimals: number
  period: Period
}

type Period = 'day' | 'month' | 'quarter'

/** What is always followed, in the order shown. The api knows the ids only; others are written as they come. */
const MEANINGS = new Map<string, Meaning>([
  ['FEDFUNDS', { label: 'Fed funds', unit: 'percent', decimals: 2, period: 'month' }],
  ['DGS10', { label: '10y yield', unit: 'percent', decimals: 2, period: 'day' }],
  ['T10Y2Y', { label: '10y less 2y', unit: 'percent', decimals: 2, period: 'day' }],
  ['VIXCLS', { label: 'VIX', unit: 'index', decimals: 2, period: 'day' }],
  ['CPIAUCSL', { label: 'Consumer prices', unit: 'index', decimals: 2, period: 'month' }],
  ['UNRATE', { label: 'Unemployment', unit: 'percent', decimals: 1, period: 'month' }],
  ['GDP', { label: 'GDP', unit: 'billion dollars', decimals: 0, period: 'quarter' }],
])
const RANKS = [...MEANINGS.keys()]

/** Those above in their order, then the others by name. */
export function byRank(left: Series, right: Series): number {
  const rank = ({ series }: Series) => (MEANINGS.has(series) ? RANKS.indexOf(series) : RANKS.length)
  return rank(left) - rank(right) || left.series.localeCompare(right.series)
}

/** `10y yield`; the id of a series that is not known here. */
export function labelOf({ series }: Series): string {
  return MEANINGS.get(series)?.label ?? series
}

function digits(value: number, meaning: Meaning | undefined): string {
  const format = new Intl.NumberFormat(
    'en-US',
    meaning
      ? { minimumFractionDigits: meaning.decimals, maximumFractionDigits: meaning.decimals }
      : { maximumFractionDigits: 3 },
  )
  return format.format(Math.abs(value))
}

/** `4.58 %`, `299.68`, `$32,764 bn` */
export function formatValue({ series, value }: Series): string {
  const meaning = MEANINGS.get(series)
  const text = digits(value, meaning)
  const sign = value < 0 ? '−' : ''
  switch (meaning?.unit) {
    case 'percent':
      return `${sign}${text}\u202f%`
    case 'billion dollars':
      return `${sign}$${text}\u202fbn`
    default:
      return `${sign}${text}`
  }
}

/** `−0.18`, `±0`; in the series' unit, so of a percentage in points. Null where nothing is known before. */
export function formatSeriesChange({ series, change }: Series): string | null {
  if (change === null) return null
  const text = digits(change, MEANINGS.get(series))
  return /[1-9]/.test(text) ? signed(change, text) : '±0'
}

/** A period whose length is not known is as long as the time since the one before it. */
function periodOf({ series, period, previous_period }: Series): Period {
  const known = MEANINGS.get(series)?.period
  if (known) return known
  if (previous_period === null) return 'day'
  const days = (momentOfDay(period) - momentOfDay(previous_period)) / 86_400_000
  return days > 80 ? 'quarter' : days > 26 ? 'month' : 'day'
}

/** `17 Nov 2026`, `Oct 2026`, `Q3 2026`: what the figure is of. */
export function formatPeriod(series: Series, day: IsoDay = series.period): string {
  const moment = momentOfDay(day)
  switch (periodOf(series)) {
    case 'day':
      return formatDate(moment)
    case 'month':
      return formatMonth(moment)
    case 'quarter':
      return `Q${Math.ceil(Number(day.slice(5, 7)) / 3)} ${formatYear(moment)}`
  }
}

/** `3 Nov`, with the year where it is not the period's: since when the figure could be known. */
export function formatKnownSince({ period, available_at }: Series): string {
  const sameYear = formatYear(available_at) === formatYear(momentOfDay(period))
  return (sameYear ? formatDayMonth : formatDate)(available_at)
}
