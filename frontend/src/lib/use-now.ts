import { useEffect, useState } from 'react'

import type { EpochMs } from './wire'

/** This machine's clock, read every `intervalMs`. 0 before the page is mounted, so that the export holds no time. */
export function useNow(intervalMs: number): EpochMs {
  const [now, setNow] = useState(0)
  useEffect(() => {
    const tick = () => {
      setNow(Date.now())
    }
    const first = setTimeout(tick, 0)
    const timer = setInterval(tick, intervalMs)
    return () => {
      clearTimeout(first)
      clearInterval(timer)
    }
  }, [intervalMs])
  return now
}
