import { createElement } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { expect, it } from 'vitest'

import { ConnectionBadge, type ConnectionView } from './connection-badge'

it.each<[ConnectionView, string]>([
  [{ state: 'connecting' }, ''],
  [{ state: 'open' }, 'Connected'],
  [{ state: 'stale', sinceMs: 0 }, 'Connected, but nothing comes'],
  [{ state: 'waiting', attempt: 1, retryAtMs: 0 }, 'Connection lost, reconnecting'],
  [{ state: 'retrying', attempt: 1 }, 'Connection lost, reconnecting'],
])('has read out of %j: %s', (connection, words) => {
  const props = { connection, unreadable: false, onRetry: () => undefined }
  expect(renderToStaticMarkup(createElement(ConnectionBadge, props))).toContain(`role="status">${words}</span>`)
})
