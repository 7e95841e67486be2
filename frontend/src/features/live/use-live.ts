import { useEffect, useState, useSyncExternalStore } from 'react'

import { createLiveStore, INITIAL_FRAME, type LiveFrame, type LiveStore } from './store'

/** The api serves this page, so its socket is where the page came from. */
function socketUrl({ protocol, host }: Pick<Location, 'protocol' | 'host'>): string {
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/ws`
}

/** The page's one connection. */
export function useLive(): { live: LiveFrame } & Pick<LiveStore, 'stocks' | 'follow' | 'retryNow'> {
  const [store] = useState(() => createLiveStore(() => new WebSocket(socketUrl(window.location))))
  useEffect(() => store.start(), [store])
  useEffect(() => {
    window.addEventListener('online', store.retryNow)
    return () => {
      window.removeEventListener('online', store.retryNow)
    }
  }, [store])
  const live = useSyncExternalStore(store.subscribe, store.getFrame, () => INITIAL_FRAME)
  return { live, stocks: store.stocks, follow: store.follow, retryNow: store.retryNow }
}
