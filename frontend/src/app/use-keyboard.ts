import { type RefObject, useEffect } from 'react'

interface Keys {
  filterRef: RefObject<HTMLInputElement | null>
  /** Whether the arrows go through the tickers: where the page scrolls, they scroll it. */
  arrows: boolean
  /** Whether keys that are single characters do anything: speech input and chance touches type them as well. */
  characters: boolean
  /** One ticker down (1) or up (-1). Tells whether it did anything, like the others: else the key is the browser's. */
  onStep: (step: 1 | -1) => boolean
  /** A digit key, from 0. */
  onDigit: (index: number) => boolean
  onEscape: () => boolean
}

/** Fields keep their keys, and so does whatever scrolls with the arrows while it has the focus, or lies above the page. */
function keepsKeys(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.matches('input:not([type=checkbox]), textarea, select') ||
      target.closest('[role="region"][tabindex], dialog') !== null)
  )
}

/** Up and down (`arrows`) go through the tickers, Escape leads back; `j`, `k`, `/` and 1 to 5 are `characters`. */
export function useKeyboard({ filterRef, arrows, characters, onStep, onDigit, onEscape }: Keys): void {
  useEffect(() => {
    const handle = (key: string): boolean => {
      if ((arrows && key === 'ArrowDown') || (characters && key === 'j')) return onStep(1)
      if ((arrows && key === 'ArrowUp') || (characters && key === 'k')) return onStep(-1)
      if (key === 'Escape') return onEscape()
      if (!characters) return false
      if (key === '/') {
        filterRef.current?.focus()
        return true
      }
      return /^[1-9]$/.test(key) && onDigit(Number(key) - 1)
    }
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || keepsKeys(event.target)) return
      if (handle(event.key)) event.preventDefault()
    }
    window.addEventListener('keydown', onKeyDown)
    return () => {
      window.removeEventListener('keydown', onKeyDown)
    }
  }, [filterRef, arrows, characters, onStep, onDigit, onEscape])
}
