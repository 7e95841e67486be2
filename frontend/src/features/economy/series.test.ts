import { describe, expect, it } from 'vitest'

import { wireSeries } from '@/lib/test-data'
import type { Series } from '@/lib/wire'

import { byRank, formatKnownSince, formatPeriod, formatSeriesChange, formatValue, labelOf } from './series'

/** The narrow space before a unit, as a plain one. */
const plain = (text: string | null) => text?.replaceAll('\u202f', ' ') ?? null

const base: Series = { ...wireSeries, available_at: Date.parse(wireSeries.available_at) }

describe('a figure in words', () => {
  it.each([
    [{ series: 'FEDFUNDS', value: 1.88, change: -0.18 }, '1.88 %', '−0.18'],
    [{ series: 'T10Y2Y', value: -0.3, change: 0.1 }, '−0.30 %', '+0.10'],
    [{ series: 'UNRATE', value: 5.7, change: 0 }, '5.7 %', '±0'],
    [{ series: 'GDP', value: 32763.801, change: 453.382 }, '$32,764 bn', '+453'],
    [{ series: 'CPIAUCSL', value: 299.676, change: 0.004 }, '299.68', '±0'],
    [{ series: 'ICSA', value: 213000.5, change: null }, '213,000.5', null],
  ])('has its unit: %j', (fields, value, change) => {
    expect(plain(formatValue({ ...base, ...fields }))).toBe(value)
    expect(formatSeriesChange({ ...base, ...fields })).toBe(change)
  })

  it.each([
    [{ series: 'DGS10', period: '2026-11-17', previous_period: '2026-11-16' }, '17 Nov 2026'],
    [{ series: 'UNRATE', period: '2025-11-01', previous_period: '2025-09-01' }, 'Nov 2025'],
    [{ series: 'GDP', period: '2026-10-01', previous_period: '2026-07-01' }, 'Q4 2026'],
    // Not known here: as long as the time since the period before.
    [{ series: 'PAYEMS', period: '2026-03-01', previous_period: '2026-02-01' }, 'Mar 2026'],
    [{ series: 'GDPC1', period: '2026-04-01', previous_period: '2026-01-01' }, 'Q2 2026'],
    [{ series: 'ICSA', period: '2026-11-14', previous_period: '2026-11-07' }, '14 Nov 2026'],
    [{ series: 'ODD', period: '2026-11-01', previous_period: null }, '1 Nov 2026'],
  ])('names its period: %j', (fields, period) => {
    expect(formatPeriod({ ...base, ...fields })).toBe(period)
  })

  it('says since when it could be known, in New York', () => {
    const available_at = Date.parse('2026-11-14T04:59:00Z')
    expect(formatKnownSince({ ...base, period: '2026-10-01', available_at })).toBe('13 Nov')
    expect(formatKnownSince({ ...base, period: '2025-12-01', available_at })).toBe('13 Nov 2026')
  })
})

it('puts the known series first and names the others by their id', () => {
  const series = ['GDPC1', 'GDP', 'constructor', 'FEDFUNDS'].map((name) => ({ ...base, series: name }))
  expect(series.sort(byRank).map(({ series }) => series)).toEqual(['FEDFUNDS', 'GDP', 'constructor', 'GDPC1'])
  expect(series.map(labelOf)).toEqual(['Fed funds', 'GDP', 'constructor', 'GDPC1'])
})
