import { z } from 'zod/mini'

import { type Polled, usePolled } from '@/lib/polled'
import { getJson } from '@/lib/request'
import { type DriftLook, driftLookSchema, type Status } from '@/lib/wire'

/** The monitor looks at the models now and then in a session. */
const POLL_MS = 60_000

const kindSchema = z.object({ newest: z.nullable(driftLookSchema) })
const bodySchema = z.object({ lstm: kindSchema, transformer: kindSchema })

/** The newest look at the champion of each kind; null before the first. */
export interface Looks {
  lstm: DriftLook | null
  transformer: DriftLook | null
}

async function fetchLooks(_: Looks | null, signal: AbortSignal): Promise<Looks> {
  const { lstm, transformer } = await getJson('/drift', { limit: 1 }, bodySchema, signal)
  return { lstm: lstm.newest, transformer: transformer.newest }
}

/** What the drift monitor found last. `snapshots` counts possible gaps of the connection. */
export function useLooks(snapshots: number): Polled<Looks> {
  return usePolled(fetchLooks, POLL_MS, snapshots)
}

/** How the models in use do: the worst state, and each in words; null where none of them has been looked at. */
export function summarise(
  looks: Looks,
  models: Status['models'],
): { state: DriftLook['state']; words: string; sessions: string[] } | null {
  const kinds = [
    { name: 'LSTM', look: looks.lstm, inUse: models.lstm },
    { name: 'Transformer', look: looks.transformer, inUse: models.transformer },
  ]
  // A look at a model that has been replaced says nothing of the present one.
  const known = kinds.flatMap(({ name, look, inUse }) =>
    look !== null && look.model_id === inUse ? [{ name, look }] : [],
  )
  if (known.length === 0) return null
  const states = known.map(({ look }) => look.state)
  return {
    state: states.includes('critical') ? 'critical' : states.includes('degraded') ? 'degraded' : 'healthy',
    words: known.map(({ name, look }) => `${name} ${look.state}`).join(', '),
    sessions: [...new Set(known.map(({ look }) => look.session))],
  }
}
