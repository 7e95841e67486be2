import { z } from 'zod/mini'

import { getJson } from '@/lib/request'
import { type Bar, barSchema, type EpochMs } from '@/lib/wire'

import type { Interval } from './intervals'

const historySchema = z.object({ bars: z.array(barSchema), next_cursor: z.nullable(z.string()) })

export interface HistoryPage {
  /** Ascending. */
  bars: Bar[]
  /** Where older bars go on; null at the beginning. */
  nextCursor: string | null
}

export interface HistoryRequest {
  ticker: string
  interval: Interval
  limit: number
  /** From here on; null for the newest. */
  start?: EpochMs | null
  /** The page before; null for the newest. */
  cursor?: string | null
}

/** Bars of one ticker. @throws {RequestError} */
export async function fetchHistory(request: HistoryRequest, signal: AbortSignal): Promise<HistoryPage> {
  const { ticker, interval, limit, start = null, cursor = null } = request
  const page = await getJson(
    `/stocks/${encodeURIComponent(ticker)}/historical`,
    { interval, limit, start: start === null ? null : new Date(start).toISOString(), cursor },
    historySchema,
    signal,
  )
  return { bars: page.bars, nextCursor: page.next_cursor }
}
