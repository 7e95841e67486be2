import { useCallback, useSyncExternalStore } from 'react'

/** Whether the page is shown in one column: as in dashboard.module.css. */
export const NARROW = '(max-width: 820px), (max-height: 560px)'

/** Whether a media query holds; not in the exported page. */
export function useMedia(query: string): boolean {
  const subscribe = useCallback(
    (listener: () => void) => {
      const media = window.matchMedia(query)
      media.addEventListener('change', listener)
      return () => {
        media.removeEventListener('change', listener)
      }
    },
    [query],
  )
  return useSyncExternalStore(
    subscribe,
    () => window.matchMedia(query).matches,
    () => false,
  )
}
