import { expect, it } from 'vitest'

import type { DriftLook } from '@/lib/wire'

import { summarise } from './drift'

const look = (model_id: string, state: DriftLook['state'], session = '2018-03-23'): DriftLook => ({
  model_id,
  session,
  state,
})
const inUse = { lstm: 'lstm-2', transformer: 'transformer-2' }

it('tells the worst of both, and of each how it does', () => {
  const looks = { lstm: look('lstm-2', 'healthy'), transformer: look('transformer-2', 'critical', '2018-03-26') }
  expect(summarise(looks, inUse)).toEqual({
    state: 'critical',
    words: 'LSTM healthy, Transformer critical',
    sessions: ['2018-03-23', '2018-03-26'],
  })
})

it('says nothing of models that are no longer in use, or were not looked at', () => {
  expect(
    summarise({ lstm: look('lstm-1', 'degraded'), transformer: look('transformer-2', 'healthy') }, inUse),
  ).toMatchObject({
    state: 'healthy',
    words: 'Transformer healthy',
  })
  expect(summarise({ lstm: null, transformer: null }, inUse)).toBeNull()
  expect(
    summarise({ lstm: look('lstm-2', 'healthy'), transformer: null }, { lstm: null, transformer: null }),
  ).toBeNull()
})
