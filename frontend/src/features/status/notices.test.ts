import { createElement } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { describe, expect, it } from 'vitest'

import { wireStatus } from '@/lib/test-data'
import type { Setup, Status } from '@/lib/wire'

import type { ConnectionView } from './connection-badge'
import { Notices } from './notices'

const running = { ...wireStatus, next_open: null, now: 0, source_note: null } as Status
const building: Setup = { state: 'building', done: 312, of: 620, message: 'Still compiling: 312 of 620.' }

function shown(status: Partial<Status>, connection: ConnectionView = { state: 'open' }): string {
  return renderToStaticMarkup(createElement(Notices, { status: { ...running, ...status }, connection }))
}

describe('notices', () => {
  it('are none while all is well', () => {
    expect(shown({})).toBe('')
  })

  it('tell what is still compiled, and how far it is', () => {
    const html = shown({ setup: building })
    expect(html).toContain('Still compiling: 312 of 620.')
    expect(html).toMatch(/<progress[^>]* value="312" max="620"/)
    expect(html).not.toContain('role="alert"')
  })

  it('promise no progress before it is known', () => {
    expect(shown({ setup: { ...building, done: 0, of: 0 } })).not.toContain('<progress')
  })

  it('make a failure heard', () => {
    const html = shown({ setup: { ...building, state: 'failed', message: 'It failed.' } })
    expect(html).toContain('role="alert"')
    expect(html).toContain('It failed.')
    expect(html).not.toContain('<progress')
  })

  it("give the api's words for a system that is not ready, beside what is still compiled", () => {
    const html = shown({ phase: 'training', message: 'Training begins later.', setup: building })
    expect(html).toContain('Training begins later.')
    expect(html).toContain('Still compiling')
  })

  it('keep what the source means in view without a connection, and nothing that may be over', () => {
    const lost: ConnectionView = { state: 'retrying', attempt: 1 }
    const html = shown({ source_note: 'Simulated prices.', setup: building }, lost)
    expect(html).toContain('Simulated prices.')
    expect(html).toContain('Not connected.')
    expect(html).not.toContain('Still compiling')
  })
})
