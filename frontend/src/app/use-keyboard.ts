import { type RefObject, useEffect } from 'react'

interface Keys {
  filterRef: RefObject<HTMLInputElement | null>
  /** One ticker down (1) or up (-1). */
  onStep: (step: 1 | -1) => void
  /** A digit key, from 0. */
  onDigit: (index: number) => void
}

/** Fields keep their keys, and so does whatever scrolls with the arrows while it has the focus. */
function keepsKeys(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.matches('input:not([type=checkbox]), textarea, select') || target.closest('ol') !== null)
  )
}

/** Up and down (or k and j) go through the tickers, 1 to 5 choose the interval, `/` filters. */
export function useKeyboard({ filterRef, onStep, onDigit }: Keys): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || keepsKeys(event.target)) return
      if (event.key === '/') filterRef.current?.focus()
      else if (event.key === 'ArrowDown' || event.key === 'j') onStep(1)
      else if (event.key === 'ArrowUp' || event.key === 'k') onStep(-1)
      else if (/^[1-9]$/.test(event.key)) onDigit(Number(event.key) - 1)
      else return
      event.preventDefault()
    }
    window.addEventListener('keydown', onKeyDown)
    return () => {
      window.removeEventListener('keydown', onKeyDown)
    }
  }, [filterRef, onStep, onDigit])
}
