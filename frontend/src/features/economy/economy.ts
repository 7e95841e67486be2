import { z } from 'zod/mini'

import { type Polled, usePolled } from '@/lib/polled'
import { getJson, usableRows } from '@/lib/request'
import { type Series, seriesSchema } from '@/lib/wire'

import { byRank } from './series'

/** Figures come out once a day or less; the first ones come when a new system fetches them. */
const paceOf = (figures: readonly Series[] | null) => (figures?.length === 0 ? 5_000 : 60_000)

const bodySchema = z.object({ series: z.array(z.unknown()) })

async function fetchEconomy(_: readonly Series[] | null, signal: AbortSignal): Promise<readonly Series[]> {
  const body = await getJson('/macro', {}, bodySchema, signal)
  return usableRows(seriesSchema, body.series, 'series').sort(byRank)
}

/** The newest figure of every economic series. `snapshots` counts possible gaps. */
export function useEconomy(snapshots: number): Polled<readonly Series[]> {
  return usePolled(fetchEconomy, paceOf, snapshots)
}
