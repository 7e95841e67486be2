import { describe, expect, it } from 'vitest'

import {
  directionOf,
  formatAge,
  formatBps,
  formatChange,
  formatCountdown,
  formatDateTime,
  formatLift,
  formatMoment,
  formatPercent,
  formatPrice,
  formatProbability,
  formatShare,
  formatSpeed,
  formatTime,
  formatVolume,
  newYorkDay,
  newYorkMinute,
} from './format'

/** The narrow space before a percent sign, as a plain one. */
const plain = (text: string) => text.replaceAll('\u202f', ' ')

describe('numbers', () => {
  it('writes prices with cents, small ones with more', () => {
    expect([1438.255, 28, 0.1234].map(formatPrice)).toEqual(['1,438.26', '28.00', '0.1234'])
    expect(formatPrice(null)).toBe('–')
  })

  it('writes changes with their sign, and none for what rounds to nothing', () => {
    expect([1.006, -0.4, 0, -0.001].map(formatChange)).toEqual(['+1.01', '−0.40', '0.00', '0.00'])
    expect(plain(formatPercent(-7.461))).toBe('−7.46 %')
    expect(formatPercent(null)).toBe('–')
    expect([0.3, -0.3, 0.001, null].map(directionOf)).toEqual(['up', 'down', 'flat', 'flat'])
  })

  it('writes probabilities, volumes and speeds', () => {
    expect(plain(formatProbability(0.48231))).toBe('48.2 %')
    expect(plain(formatShare(0.605))).toBe('61 %')
    expect([0.25, 950, 41_230, 1_878_172].map(formatVolume)).toEqual(['0.25', '950', '41.2K', '1.88M'])
    expect([60, 1.5].map(formatSpeed)).toEqual(['60×', '1.5×'])
  })
})

describe('expectations', () => {
  it('are in basis points, and beside what is usual in points of a hundred', () => {
    expect([6.24, -0.04, 0, -1.66, null].map((value) => plain(formatBps(value)))).toEqual([
      '+6.2 bp',
      '0.0 bp',
      '0.0 bp',
      '−1.7 bp',
      '–',
    ])
    expect([formatLift(0.382, 0.34), formatLift(0.3, 0.34), formatLift(0.3, 0.3)]).toEqual(['+4.2', '−4.0', '0.0'])
  })
})

describe('times', () => {
  it("are New York's, in summer and in winter", () => {
    expect(formatTime(Date.parse('2018-03-26T13:30:00Z'))).toBe('09:30')
    expect(formatTime(Date.parse('2018-01-26T14:30:00Z'))).toBe('09:30')
    expect(formatDateTime(Date.parse('2018-03-26T04:00:00Z'))).toContain('00:00')
  })

  it('know the New York day', () => {
    expect(newYorkDay(Date.parse('2018-03-27T03:59:00Z'))).toBe('2018-03-26')
  })

  it('know the minute of the New York day', () => {
    expect(newYorkMinute(Date.parse('2018-03-26T13:30:59Z'))).toBe(9 * 60 + 30)
    expect(newYorkMinute(Date.parse('2018-03-26T04:00:00Z'))).toBe(0)
  })

  it('name the day of a moment that is not of today', () => {
    const time = Date.parse('2018-03-26T13:31:00Z')
    expect(formatMoment(time, time + 60_000)).toBe('09:31')
    expect(formatMoment(time, time + 86_400_000)).toBe('Mon 26 Mar, 09:31')
    expect(formatMoment(time, null)).toBe('Mon 26 Mar, 09:31')
  })

  it('count down', () => {
    expect([14, 725.4, 3720, -3].map(formatCountdown)).toEqual(['0:14', '12:05', '1:02:00', '0:00'])
  })

  it('tell an age in one unit', () => {
    expect([4_000, 720_000, 3 * 3_600_000, 3 * 86_400_000].map(formatAge)).toEqual(['4 s', '12 min', '3 h', '3 d'])
  })
})
