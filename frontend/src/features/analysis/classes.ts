import type { Opinion } from '@/lib/wire'

/** What a model tells apart, as shown from top to bottom. */
export const CLASSES = ['up', 'neutral', 'down'] as const
export type ClassName = (typeof CLASSES)[number]

/** The class that a model finds most probable; of equal ones the calmer. */
export function topClass(opinion: Opinion): ClassName {
  return CLASSES.reduce((top, name) => (opinion[name] > opinion[top] ? name : top), 'neutral')
}
