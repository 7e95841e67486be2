import { useCallback } from 'react'
import { z } from 'zod/mini'

import { type Polled, usePolled } from '@/lib/polled'
import { getJson, untilMeant, usableRows } from '@/lib/request'
import { type Finding, findingSchema, type Gap, gapSchema } from '@/lib/wire'

/** Gaps and findings listed; the totals count the others. */
const MOST_ROWS = 50
/** Sessions are looked at after they are over. */
const POLL_MS = 60_000

const count = z.number().check(z.gte(0))
const bodySchema = z.object({
  open_gaps: count,
  gaps: z.array(z.unknown()),
  total_findings: count,
  findings: z.array(z.unknown()),
})

/** What is missing or doubtful in one stock's bars; the newest first. */
export interface Quality {
  openGaps: number
  gaps: readonly Gap[]
  totalFindings: number
  findings: readonly Finding[]
}

async function fetchQuality(ticker: string, before: Quality | null, signal: AbortSignal): Promise<Quality> {
  if (before === null) await untilMeant(ticker, signal)
  const body = await getJson('/data-quality', { ticker, limit: MOST_ROWS }, bodySchema, signal)
  return {
    openGaps: body.open_gaps,
    gaps: usableRows(gapSchema, body.gaps, 'gap'),
    totalFindings: body.total_findings,
    findings: usableRows(findingSchema, body.findings, 'finding'),
  }
}

/** The open gaps and findings of one stock. `snapshots` counts possible gaps of the connection. */
export function useQuality(ticker: string, snapshots: number): Polled<Quality> {
  const fetcher = useCallback(
    (before: Quality | null, signal: AbortSignal) => fetchQuality(ticker, before, signal),
    [ticker],
  )
  return usePolled(fetcher, POLL_MS, snapshots)
}
