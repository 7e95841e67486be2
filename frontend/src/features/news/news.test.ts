import { describe, expect, it } from 'vitest'

import { storyAt } from '@/lib/test-data'

import { newsOf } from './news'
import { toneOf } from './tone'

const titles = (news: ReturnType<typeof newsOf>) => news.stories.map(({ title }) => title)

describe('newsOf', () => {
  it('puts what was seen last first, then what was published last, once each', () => {
    const rows = [
      storyAt(0, { title: 'old', published_at: 1 }),
      storyAt(0, { title: 'newer', published_at: 2 }),
      storyAt(9, { title: 'seen last', published_at: 0 }),
      storyAt(0, { title: 'old', published_at: 1 }),
    ]
    expect(titles(newsOf(null, rows))).toEqual(['seen last', 'newer', 'old'])
  })

  it('knows what has arrived since the stock was chosen', () => {
    const first = storyAt(3)
    const opened = newsOf(null, [first])
    expect(opened.openedAt).toBe(first.first_seen_at)
    const second = newsOf(newsOf(opened, [storyAt(4), first]), [storyAt(5), storyAt(4), first])
    expect(second.stories.filter(({ first_seen_at }) => first_seen_at > second.openedAt)).toHaveLength(2)
  })

  it('takes every story for new where there was none', () => {
    expect(newsOf(newsOf(null, []), [storyAt(0)]).openedAt).toBe(-Infinity)
  })
})

it.each([
  [0.6, 0.3, 0.1, 'positive'],
  [0.1, 0.3, 0.6, 'negative'],
  [0.3, 0.5, 0.2, 'neutral'],
  [0.4, 0.2, 0.4, 'neutral'],
] as const)('hears %f good, %f neither and %f bad as %s', (positive, neutral, negative, tone) => {
  expect(toneOf({ model: 'lexicon-1', positive, neutral, negative, score: positive - negative })).toBe(tone)
})
