import { type RefObject, useEffect } from 'react'

interface Keys {
  filterRef: RefObject<HTMLInputElement | null>
  /** Whether keys that are single characters do anything: speech input and chance touches type them as well. */
  characters: boolean
  /** One ticker down (1) or up (-1). */
  onStep: (step: 1 | -1) => void
  /** A digit key, from 0. */
  onDigit: (index: number) => void
  onEscape: () => void
}

/** Fields keep their keys, and so does whatever scrolls with the arrows while it has the focus, or lies above the page. */
function keepsKeys(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.matches('input:not([type=checkbox]), textarea, select') ||
      target.closest('[role="region"][tabindex], dialog') !== null)
  )
}

/** Up and down go through the tickers, Escape leads back; `j`, `k`, `/` and 1 to 5 only with `characters`. */
export function useKeyboard({ filterRef, characters, onStep, onDigit, onEscape }: Keys): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const { key } = event
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || keepsKeys(event.target)) return
      if (key === 'ArrowDown' || (characters && key === 'j')) onStep(1)
      else if (key === 'ArrowUp' || (characters && key === 'k')) onStep(-1)
      else if (key === 'Escape') onEscape()
      else if (characters && key === '/') filterRef.current?.focus()
      else if (characters && /^[1-9]$/.test(key)) onDigit(Number(key) - 1)
      else return
      event.preventDefault()
    }
    window.addEventListener('keydown', onKeyDown)
    return () => {
      window.removeEventListener('keydown', onKeyDown)
    }
  }, [filterRef, characters, onStep, onDigit, onEscape])
}
