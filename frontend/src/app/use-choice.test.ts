import { expect, it } from 'vitest'

import { parseChoice } from './use-choice'

it.each([
  ['', { ticker: null, interval: '1m' }],
  ['#AAPL', { ticker: 'AAPL', interval: '1m' }],
  ['#BRK.B/1d', { ticker: 'BRK.B', interval: '1d' }],
  ['#<script>/9m', { ticker: null, interval: '1m' }],
  ['#%', { ticker: null, interval: '1m' }],
])('reads %j', (hash, choice) => {
  expect(parseChoice(hash)).toEqual(choice)
})
