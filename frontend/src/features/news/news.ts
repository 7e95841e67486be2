import { useMemo } from 'react'
import { z } from 'zod/mini'

import { type Polled, usePolled } from '@/lib/polled'
import { getJson, untilMeant, usableRows } from '@/lib/request'
import { type EpochMs, type Story, storySchema } from '@/lib/wire'

/** The newest ones; the api has the others. */
const MOST_STORIES = 50
/** Sources are asked every few minutes at most. */
const POLL_MS = 30_000

const pageSchema = z.object({ news: z.array(z.unknown()) })

export interface News {
  /** Those first seen last first; of those seen at once, those published last. */
  stories: readonly Story[]
  /** When the newest story was seen that was there when the stock was chosen: what was seen later has arrived since. */
  openedAt: EpochMs
}

/** Tells stories of one stock apart. */
export function keyOf({ first_seen_at, title, url }: Story): string {
  return `${first_seen_at} ${title} ${url ?? ''}`
}

/** In the order in which they are read, without doubles. */
export function newsOf(before: News | null, rows: readonly Story[]): News {
  const stories = [...new Map(rows.map((story) => [keyOf(story), story])).values()].sort(
    (left, right) => right.first_seen_at - left.first_seen_at || right.published_at - left.published_at,
  )
  return { stories, openedAt: before?.openedAt ?? stories[0]?.first_seen_at ?? -Infinity }
}

async function fetchNews(ticker: string, before: News | null, signal: AbortSignal): Promise<News> {
  if (before === null) await untilMeant(ticker, signal)
  const path = `/stocks/${encodeURIComponent(ticker)}/news`
  const page = await getJson(path, { limit: MOST_STORIES }, pageSchema, signal)
  return newsOf(before, usableRows(storySchema, page.news, 'story'))
}

/** The news of one stock; of none, nothing. `snapshots` counts possible gaps. */
export function useNews(ticker: string | null, snapshots: number): Polled<News> {
  const fetcher = useMemo(
    () => (ticker === null ? null : (before: News | null, signal: AbortSignal) => fetchNews(ticker, before, signal)),
    [ticker],
  )
  return usePolled(fetcher, POLL_MS, snapshots)
}
