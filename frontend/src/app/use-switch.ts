import { useCallback, useState, useSyncExternalStore } from 'react'

const CHANGED = 'tandem-switch'

function subscribe(listener: () => void): () => void {
  window.addEventListener(CHANGED, listener)
  window.addEventListener('storage', listener)
  return () => {
    window.removeEventListener(CHANGED, listener)
    window.removeEventListener('storage', listener)
  }
}

/** What was stored under a name; null without any, or where the browser stores nothing for this page. */
function read(name: string): string | null {
  try {
    return window.localStorage.getItem(name)
  } catch {
    return null
  }
}

/** Something that is on until it is switched off, and stays so in this browser. */
export function useSwitch(name: string): [boolean, (on: boolean) => void] {
  const stored = useSyncExternalStore(
    subscribe,
    () => read(name) !== 'off',
    () => true,
  )
  // Where nothing can be stored, it counts until the page is closed.
  const [unstored, setUnstored] = useState<boolean | null>(null)
  const set = useCallback(
    (on: boolean) => {
      try {
        window.localStorage.setItem(name, on ? 'on' : 'off')
        window.dispatchEvent(new Event(CHANGED))
      } catch {
        setUnstored(on)
      }
    },
    [name],
  )
  return [unstored ?? stored, set]
}
