import type { Sentiment } from '@/lib/wire'

/** How a headline sounds. */
export type Tone = 'positive' | 'neutral' | 'negative'

/** What the model finds most probable; of equal ones the calmer. */
export function toneOf({ positive, neutral, negative }: Sentiment): Tone {
  if (positive > neutral && positive > negative) return 'positive'
  return negative > neutral && negative > positive ? 'negative' : 'neutral'
}
