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
  return renderToStaticMarkup(
    createElement(Notices, { status: { ...running, ...status }, connection, unreadable: false }),
  )
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

  it('say that the market is silent, and what the operator must know', () => {
    const stale = { since: 0, tickers: 20, of: 20, message: 'No stock has had a bar since 11:02' }
    const html = shown({ stale, trouble: ['Yahoo does not answer.', 'The LSTM fails.'] })
    expect(html).toMatch(/role="alert"[^>]*data-testid="stale"[^]*No stock has had a bar since 11:02\./)
    expect(html.match(/data-testid="trouble"/g)).toHaveLength(2)
  })

  it('tell how far the training is, and how long it takes', () => {
    const progress = { message: 'The LSTM learns: pass 3 of 6', done: 3, of: 6, seconds_left: 14 }
    const training = shown({ phase: 'training', message: 'Both models are being trained', progress, paused: true })
    expect(training).toContain('Both models are being trained')
    expect(training).toMatch(/<progress[^>]* value="3" max="6"/)
    expect(training).toMatch(/pass 3 of 6.*0:14 left/)
    const running = shown({ progress: { ...progress, of: 0, seconds_left: null } })
    expect(running).toContain('pass 3 of 6')
    expect(running).not.toContain('<progress')
    expect(running).not.toContain('left')
  })

  it('name a ticker that the address asked for in vain', () => {
    const props = { status: running, connection: { state: 'open' }, unreadable: false, notWatched: 'ZZZZ' } as const
    expect(renderToStaticMarkup(createElement(Notices, props))).toMatch(/ZZZZ.* is not watched\./)
  })

  it('say that nothing can be shown when nothing can be read', () => {
    const props = { status: null, connection: { state: 'open' }, unreadable: true } as const
    expect(renderToStaticMarkup(createElement(Notices, props))).toContain('cannot be read')
  })
})
