import { describe, expect, it } from 'vitest'

import type { Finding, Gap } from '@/lib/wire'

import { describeFinding, describeGap, describeTries, summarise } from './words'

const plain = (text: string) => text.replaceAll('\u202f', ' ')

const gap: Gap = {
  start: Date.parse('2026-03-16T14:02:00Z'),
  end: Date.parse('2026-03-16T14:44:00Z'),
  reason: 'missing_minutes',
  expected_bars: 42,
  attempts: 0,
}
const finding: Finding = {
  session: '2026-03-16',
  check: 'session_volume',
  observed: 210_000_000,
  expected: 41_000_000,
  detail: '5.1 times the median of the 20 sessions before',
}
const NOTHING = { openGaps: 0, gaps: [], totalFindings: 0, findings: [] }

describe('gaps in words', () => {
  it.each<[Partial<Gap>, string]>([
    [{}, 'About 42 minutes are missing: 16 Mar 2026, 10:02 to 10:44.'],
    [{ expected_bars: 1 }, 'About 1 minute is missing: 16 Mar 2026, 10:02 to 10:44.'],
    [{ reason: 'missing_session' }, 'The prices of 16 Mar 2026 are missing.'],
    [
      { reason: 'stopped', end: Date.parse('2026-03-18T20:00:00Z') },
      'No prices came from 16 Mar 2026, 10:02 to 18 Mar 2026, 16:00 while others had some: trading in it may have been halted or ended.',
    ],
  ])('%j', (fields, sentence) => {
    expect(describeGap({ ...gap, ...fields })).toBe(sentence)
  })

  it('say how often it was tried', () => {
    expect([0, 1, 2].map((attempts) => describeTries({ ...gap, attempts }))).toEqual([
      '',
      ' Asked for again 1 time.',
      ' Asked for again 2 times.',
    ])
  })
})

describe('findings in words', () => {
  it.each<[Partial<Finding>, string]>([
    [{}, '16 Mar 2026: 210M shares were traded, about 41M are usual.'],
    [
      { check: 'zero_volume_minutes', observed: 0.13, expected: 0.02 },
      '16 Mar 2026: 13 % of the minutes have no volume, at most 2 % are usual.',
    ],
    [
      { check: 'daily_volume', observed: 143, expected: 100 },
      '16 Mar 2026: the minutes add up to 1.4 times the volume that the vendor gives for the day.',
    ],
    [{ check: 'of_tomorrow', detail: 'odd' }, '16 Mar 2026: odd.'],
  ])('%j', (fields, sentence) => {
    expect(plain(describeFinding({ ...finding, ...fields }))).toBe(sentence)
  })
})

describe('summarise', () => {
  it('says nothing when nothing is wrong', () => {
    expect(summarise(NOTHING)).toBeNull()
  })

  it('tells one gap as it is and counts more', () => {
    expect(summarise({ ...NOTHING, openGaps: 1, gaps: [gap] })).toBe(describeGap(gap))
    expect(summarise({ ...NOTHING, openGaps: 1_200, gaps: [gap] })).toBe('Prices are missing in 1,200 places.')
  })

  it('puts findings into days', () => {
    const other = { ...finding, check: 'daily_volume' }
    expect(summarise({ ...NOTHING, totalFindings: 2, findings: [finding, other] })).toBe(
      'Volumes look wrong on 16 Mar 2026.',
    )
    const later = { ...finding, session: '2026-03-19' }
    const quality = { openGaps: 2, gaps: [gap, gap], totalFindings: 3, findings: [later, finding, other] }
    expect(summarise(quality)).toBe(
      'Prices are missing in 2 places. Volumes look wrong on 2 days, 16 Mar 2026 to 19 Mar 2026.',
    )
    expect(summarise({ ...quality, totalFindings: 99 })).toContain('2 and more days')
    expect(summarise({ ...NOTHING, totalFindings: 1 })).toBe('Some prices or volumes look wrong.')
  })

  it('tells prices that jump from volumes, and first', () => {
    const findings = [finding, { ...finding, check: 'price_step' }, { ...finding, check: 'of_tomorrow' }]
    expect(summarise({ ...NOTHING, totalFindings: 3, findings })).toBe(
      'Prices do not go on at the same level on 16 Mar 2026. Volumes look wrong on 16 Mar 2026. Prices or volumes look wrong on 16 Mar 2026.',
    )
    const basis = { ...finding, check: 'share_basis' }
    expect(summarise({ ...NOTHING, totalFindings: 1, findings: [basis] })).toBe(
      'Prices do not go on at the same level on 16 Mar 2026.',
    )
  })
})
