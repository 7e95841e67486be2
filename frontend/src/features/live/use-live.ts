import { useEffect, useState, useSyncExternalStore } from 'react'

import type { FollowTicker } from '@/lib/stream'

import { INITIAL_STATE, type LiveState } from './state'
import { createLiveStore } from './store'

/** The api serves this page, so its socket is where the page came from. */
function socketUrl({ protocol, host }: Pick<Location, 'protocol' | 'host'>): string {
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/ws`
}

/** The page's one connection. */
export function useLive(): { live: LiveState; follow: FollowTicker; retryNow: () => void } {
  const [store] = useState(() => createLiveStore(() => new WebSocket(socketUrl(window.location))))
  useEffect(() => store.start(), [store])
  useEffect(() => {
    window.addEventListener('online', store.retryNow)
    return () => {
      window.removeEventListener('online', store.retryNow)
    }
  }, [store])
  const live = useSyncExternalStore(store.subscribe, store.getState, () => INITIAL_STATE)
  return { live, follow: store.follow, retryNow: store.retryNow }
}
