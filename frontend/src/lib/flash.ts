import { type RefObject, useLayoutEffect, useRef } from 'react'

import { untilBeat } from './beat'
import type { LiveStock } from './stream'

/** How long a new price stays lit at least, ms. */
const LIT_MS = 300

/** Until when which element is lit, in the order of the ends. */
const endsAt = new Map<HTMLElement, number>()
let timer: ReturnType<typeof setTimeout> | undefined

function endThoseDue(): void {
  // A timer may be a little early.
  const due = performance.now() + 1
  for (const [element, end] of endsAt) {
    if (end > due) break
    delete element.dataset.flash
    endsAt.delete(element)
  }
  const [next] = endsAt.values()
  timer = next === undefined ? undefined : setTimeout(endThoseDue, next - performance.now())
}

/**
 * Lights an element up when the price in it has moved. It is lit and put out in one step each: an animation would have
 * the browser draw every frame of twenty prices, for most of the page's work.
 */
export function useFlash(ref: RefObject<HTMLElement | null>, { move, moves }: Pick<LiveStock, 'move' | 'moves'>): void {
  const seen = useRef(moves)
  // Before the price is painted: afterwards it would be painted twice.
  useLayoutEffect(() => {
    const element = ref.current
    if (!element || move === null || moves === seen.current) return
    seen.current = moves
    element.dataset.flash = move
    const lit = untilBeat(LIT_MS)
    endsAt.delete(element)
    endsAt.set(element, performance.now() + lit)
    timer ??= setTimeout(endThoseDue, lit)
  }, [ref, move, moves])
}
