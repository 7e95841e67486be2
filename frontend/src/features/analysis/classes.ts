import type { ClassName } from '@/lib/wire'

/** What a model tells apart, as shown from top to bottom. */
export const CLASSES = ['up', 'neutral', 'down'] as const satisfies readonly ClassName[]
export const CLASS_LABEL: Record<ClassName, string> = { up: '▲ Up', neutral: 'Neutral', down: '▼ Down' }
export const CLASS_NAME: Record<ClassName, string> = { up: 'a rise', neutral: 'no clear move', down: 'a fall' }
