import { expect, it } from 'vitest'

import { untilBeat } from './beat'

it('has everybody change at the same moments', () => {
  expect([untilBeat(0, 1_010), untilBeat(0, 1_190), untilBeat(0, 1_200)]).toEqual([190, 10, 0])
  expect([untilBeat(350, 1_010), untilBeat(350, 1_190)]).toEqual([390, 410])
})
