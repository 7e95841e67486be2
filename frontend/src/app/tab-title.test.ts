import { expect, it } from 'vitest'

import { wireStatus } from '@/lib/test-data'
import type { Status } from '@/lib/wire'

import { describeTab } from './tab-title'

const live = { ...wireStatus, source: 'live', speed: 1, next_open: null, now: 0 } as Status
const replay: Status = { ...live, source: 'replay', speed: 60 }
const tab = { ticker: 'MSFT', price: 89.69, stale: null, status: live, lost: false }

it.each([
  [{}, 'MSFT 89.69 · Tandem'],
  [{ stale: '47 min old' }, 'MSFT 89.69 (47 min old) · Tandem'],
  [{ lost: true }, 'Not connected · MSFT · Tandem'],
  [{ status: replay }, 'Replay 60× · MSFT 89.69 · Tandem'],
  [{ ticker: null, price: null }, 'Tandem'],
])('names the price and what is wrong with it: %j', (fields, title) => {
  expect(describeTab({ ...tab, ...fields })).toBe(title)
})
