import type { EpochMs, IsoDay } from './wire'

/** Numbers and times as people read them. Every time is New York's. */

const NEW_YORK = 'America/New_York'
const MINUS = '−'
const DASH = '–'
/** Narrow and unbreakable. */
const SPACE = '\u202f'

const price2 = new Intl.NumberFormat('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })
const price4 = new Intl.NumberFormat('en-US', { minimumFractionDigits: 4, maximumFractionDigits: 4 })
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 })

function formatter(options: Intl.DateTimeFormatOptions): (time: EpochMs) => string {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone: NEW_YORK, ...options })
  return (time) => format.format(time)
}

const clock: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }
/** `09:31` */
export const formatTime = formatter(clock)
/** `09:31:07` */
export const formatTimeSeconds = formatter({ ...clock, second: '2-digit' })
/** `Mon 26 Mar` */
export const formatDay = formatter({ weekday: 'short', day: 'numeric', month: 'short' })
/** `26 Mar 2018` */
export const formatDate = formatter({ day: 'numeric', month: 'short', year: 'numeric' })
/** `Mar 2018` */
export const formatMonth = formatter({ month: 'short', year: 'numeric' })
/** `2018` */
export const formatYear = formatter({ year: 'numeric' })
/** `Mon 26 Mar 2018, 09:31` */
export const formatDateTime = formatter({ ...clock, weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' })
/** `26 Mar` */
export const formatDayMonth = formatter({ day: 'numeric', month: 'short' })
/** A moment of that day in New York, for the formats above. */
export const momentOfDay = (day: IsoDay): EpochMs => Date.parse(`${day}T16:00:00Z`)
const isoDay = new Intl.DateTimeFormat('en-CA', { timeZone: NEW_YORK })
/** `2018-03-26`: whether two moments share a New York day. */
export const newYorkDay = (time: EpochMs): string => isoDay.format(time)

/** Minutes since midnight in New York. */
export function newYorkMinute(time: EpochMs): number {
  const [hours = 0, minutes = 0] = formatTime(time).split(':').map(Number)
  return hours * 60 + minutes
}

/** Dollars: two decimals, four below one dollar. */
export function formatPrice(value: number | null): string {
  if (value === null) return DASH
  return (value < 1 ? price4 : price2).format(value)
}

/** `+0.10`, `−453`: the text is that of the absolute value. */
export function signed(value: number, text: string): string {
  if (value > 0) return `+${text}`
  return value < 0 ? `${MINUS}${text}` : text
}

/** `+1.32`, `−0.40` */
export function formatChange(value: number | null): string {
  if (value === null) return DASH
  const rounded = Math.round(value * 100) / 100
  return signed(rounded, price2.format(Math.abs(rounded)))
}

/** `+0.77 %`; the number is in percent already. */
export function formatPercent(value: number | null): string {
  const text = formatChange(value)
  return text === DASH ? text : `${text}${SPACE}%`
}

/** `48.2 %` of a fraction 0..=1. */
export function formatProbability(value: number): string {
  return `${(value * 100).toFixed(1)}${SPACE}%`
}

/** `48 %` of a fraction 0..=1. */
export function formatShare(value: number): string {
  return `${Math.round(value * 100)}${SPACE}%`
}

/** `+4.1`, `−0.3`: how many points of a hundred a probability lies above the usual one; both are fractions 0..=1. */
export function formatLift(probability: number, usual: number): string {
  return formatTenths((probability - usual) * 100)
}

/** `+6.2 bp` */
export function formatBps(value: number | null): string {
  return value === null ? DASH : `${formatTenths(value)}${SPACE}bp`
}

function formatTenths(value: number): string {
  const rounded = Math.round(value * 10) / 10
  return signed(rounded, Math.abs(rounded).toFixed(1))
}

/** `1.88M` shares */
export function formatVolume(value: number): string {
  return compact.format(value)
}

/** `0.42 ms`, `12.3 ms`, `1.2 s` */
export function formatMilliseconds(value: number): string {
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`
  return `${value.toFixed(value < 10 ? 2 : 1)} ms`
}

/** `40 s`, `12 min`, `3 h`, `2 d` */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`
}

/** `0:14`, `12:05`, `1:02:00`: a time to wait. */
export function formatCountdown(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const two = (value: number) => String(value).padStart(2, '0')
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/** `09:31`, with the day when that is not today's. */
export function formatMoment(time: EpochMs, now: EpochMs | null): string {
  return now !== null && newYorkDay(now) === newYorkDay(time)
    ? formatTime(time)
    : `${formatDay(time)}, ${formatTime(time)}`
}

/** `60×`, `1.5×` */
export function formatSpeed(speed: number): string {
  return `${Number(speed.toFixed(1))}×`
}

export type Direction = 'up' | 'down' | 'flat'

/** Which way a change goes, after rounding to what is shown. */
export function directionOf(change: number | null): Direction {
  if (change === null || Math.abs(change) < 0.005) return 'flat'
  return change > 0 ? 'up' : 'down'
}

export const DIRECTION_GLYPH: Record<Direction, string> = { up: '▲', down: '▼', flat: '' }
