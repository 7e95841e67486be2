import { describe, expect, it } from 'vitest'

import {
  wireAnalysis,
  wireDecision,
  wirePrice,
  wireSeries,
  wireSnapshot,
  wireStatus,
  wireStock,
  wireStory,
} from './test-data'
import { findingSchema, gapSchema, readMessage, readRows, seriesSchema, storySchema, verdictSchema } from './wire'

const read = (message: unknown) => readMessage(JSON.stringify(message))

describe('readMessage', () => {
  it('reads a snapshot and turns times into milliseconds', () => {
    const { value, faults } = read(wireSnapshot)
    expect(faults).toEqual([])
    if (value?.type !== 'snapshot') throw new Error('not a snapshot')
    expect(value.stocks.map(({ ticker }) => ticker)).toEqual(['AAPL', 'MSFT'])
    expect(value.status.now).toBe(Date.parse('2018-03-26T13:31:01Z'))
    expect(value.stocks[0]?.analysis?.lstm.up).toBe(0.6)
    expect(value.stocks[0]?.analysis?.bar_time).toBe(Date.parse('2018-03-26T13:30:00Z'))
    // Nanoseconds, as the server writes them.
    expect(value.stocks[0]?.analysis?.as_of).toBe(Date.parse('2018-03-26T13:31:00.412Z'))
  })

  it('leaves out a malformed stock or analysis and keeps the rest', () => {
    const noPrice = { ...wireStock, ticker: 'BAD', price: 'ten' }
    const noSum = { ...wireAnalysis.predictions.lstm, up: 0.9 }
    const oddAnalysis = {
      ...wireStock,
      ticker: 'ODD',
      analysis: { ...wireAnalysis, predictions: { ...wireAnalysis.predictions, lstm: noSum } },
    }
    const { value, faults } = read({ ...wireSnapshot, stocks: [noPrice, oddAnalysis, wireStock] })
    if (value?.type !== 'snapshot') throw new Error('not a snapshot')
    expect(value.stocks.map(({ ticker, analysis }) => [ticker, analysis !== null])).toEqual([
      ['ODD', false],
      ['AAPL', true],
    ])
    expect(faults).toHaveLength(2)
    expect(faults[1]).toContain('add up to 1')
  })

  it('reads prices with and without a bar', () => {
    expect(read(wirePrice).value).toMatchObject({ type: 'price', price: 10.6, bar: null })
    expect(read({ ...wirePrice, bar: undefined }).value).toMatchObject({ bar: null })
    expect(read({ ...wirePrice, bar: wireAnalysis.bar }).value).toMatchObject({ bar: { close: 10.5 } })
  })

  it('reads analyses and statuses', () => {
    expect(read({ type: 'analysis', seq: 4, ...wireAnalysis }).value).toMatchObject({
      type: 'analysis',
      analysis: {
        ticker: 'AAPL',
        timing: { total_ms: 4.2 },
        recommendation: {
          action: 'buy',
          decision: {
            expires_at: Date.parse('2018-03-26T14:01:00Z'),
            models: { lstm: { possible: ['neutral', 'up'] } },
          },
          standing: { state: 'proven', bets: 12 },
        },
      },
    })
    expect(read({ type: 'status', seq: 4, status: wireStatus }).value).toMatchObject({ status: { source: 'replay' } })
  })

  it('reads recommendations that were stored before decisions were', () => {
    const { predictions, recommendation, ...rest } = wireAnalysis
    for (const fields of [
      { decision: null, standing: null },
      { decision: undefined, standing: undefined },
    ]) {
      const row = { ...rest, bar_time: rest.bar.time, ...predictions, recommendation: { ...recommendation, ...fields } }
      const { rows, faults } = readRows(verdictSchema, [row], 'prediction')
      expect(faults).toEqual([])
      expect(rows[0]?.recommendation).toMatchObject({ decision: null, standing: null })
    }
  })

  it('reads whether it was analysed late, and when the market closed last, and does without', () => {
    const { predictions, ...rest } = wireAnalysis
    const row = { ...rest, bar_time: rest.bar.time, ...predictions }
    expect(readRows(verdictSchema, [{ ...row, late: true }, row], 'prediction').rows.map(({ late }) => late)).toEqual([
      true,
      false,
    ])
    for (const [late, told] of [
      [true, true],
      [undefined, false],
    ]) {
      const message = { type: 'analysis', seq: 4, ...wireAnalysis, late }
      expect(read(message).value).toMatchObject({ analysis: { late: told } })
    }
    for (const [last_close, told] of [
      ['2018-03-23T20:00:00Z', Date.parse('2018-03-23T20:00:00Z')],
      [null, null],
      [undefined, null],
    ]) {
      const status = { ...wireStatus, last_close }
      expect(read({ type: 'status', seq: 4, status }).value).toMatchObject({ status: { last_close: told } })
    }
  })

  it('reads models without calibration', () => {
    const uncalibrated = { coverage: null, possible: null, base_rate: null, lean: null, expected_bps: null }
    const { models } = wireAnalysis.recommendation.decision
    const decision = { ...wireDecision, models: { ...models, lstm: uncalibrated }, blocked_by: 'uncalibrated' }
    const recommendation = { ...wireAnalysis.recommendation, action: 'hold', decision, standing: null }
    expect(read({ type: 'analysis', seq: 4, ...wireAnalysis, recommendation }).value).toMatchObject({
      analysis: { recommendation: { decision: { models: { lstm: uncalibrated } } } },
    })
  })

  it('reads a pause, progress, silence and trouble, and does without them', () => {
    const progress = { message: 'The LSTM learns: pass 3 of 6', done: 3, of: 6, seconds_left: 14 }
    const stale = { since: '2018-03-26T13:31:00Z', tickers: 20, of: 20, message: 'No prices since 09:31.' }
    const told = { ...wireStatus, paused: true, progress, stale, trouble: ['Yahoo does not answer.'] }
    expect(read({ type: 'status', seq: 4, status: told }).value).toMatchObject({
      status: { paused: true, progress, stale: { since: Date.parse(stale.since) }, trouble: [expect.any(String)] },
    })
    const older = { ...wireStatus, paused: undefined, progress: undefined, stale: undefined, trouble: undefined }
    expect(read({ type: 'status', seq: 4, status: older }).value).toMatchObject({
      status: { paused: false, progress: null, stale: null, trouble: [] },
    })
  })

  it('reads what a first start still compiles, and does without it', () => {
    const setup = { state: 'building', done: 312, of: 620, seconds_left: 430, message: 'Still compiling.' }
    const status = { ...wireStatus, setup, source_note: undefined }
    expect(read({ type: 'status', seq: 4, status }).value).toMatchObject({
      status: { setup: { done: 312, of: 620 }, source_note: null },
    })
    const message = { type: 'status', seq: 4, status: { ...wireStatus, setup: undefined } }
    expect(read(message).value).toMatchObject({ status: { setup: null } })
  })

  it.each([
    ['not JSON', '{"type":"price"'],
    ['binary', new ArrayBuffer(4)],
    ['no object', '7'],
    ['no type', '{}'],
    ['an unknown type', '{"type":"poem","seq":1}'],
    ['a negative price', JSON.stringify({ ...wirePrice, price: -1 })],
    ['an impossible time', JSON.stringify({ ...wirePrice, time: '2018-02-31T10:00:00Z' })],
    ['a time without a zone', JSON.stringify({ ...wirePrice, time: '2018-03-26T13:31:20' })],
    ['an unknown source', JSON.stringify({ type: 'status', seq: 1, status: { ...wireStatus, source: 'dream' } })],
    ['no status', JSON.stringify({ ...wireSnapshot, status: null })],
  ])('refuses %s without throwing', (_, text) => {
    const { value, faults } = readMessage(text)
    expect(value).toBeNull()
    expect(faults).toHaveLength(1)
  })
})

describe('readRows', () => {
  it('reads stories, read by a model or not', () => {
    const { rows, faults } = readRows(storySchema, [wireStory, { ...wireStory, sentiment: null, publisher: null }], 's')
    expect(faults).toEqual([])
    expect(rows[0]).toMatchObject({ first_seen_at: Date.parse(wireStory.first_seen_at), url: wireStory.url })
    expect(rows[1]).toMatchObject({ sentiment: null, publisher: null })
  })

  it.each([
    ['https://news.example/a?b=c', true],
    ['HTTP://news.example', true],
    ['javascript:alert(1)', false],
    [' javascript:alert(1)', false],
    ['data:text/html,x', false],
    ['//news.example/a', false],
    ['/stocks', false],
    ['', false],
  ])('takes %j for an address of the web: %j', (url, isOne) => {
    const { rows } = readRows(storySchema, [{ ...wireStory, url }], 'story')
    expect(rows[0]?.url).toBe(isOne ? url : null)
  })

  it('reads series, gaps and findings, and leaves out what is malformed', () => {
    const gap = { start: wireStory.published_at, end: wireStory.first_seen_at, reason: 'stopped', expected_bars: 11 }
    const finding = { session: '2018-03-26', check: 'daily_volume', observed: 2, expected: 1, detail: 'double' }
    expect(readRows(seriesSchema, [wireSeries, { ...wireSeries, period: 'March' }], 'series').rows).toHaveLength(1)
    expect(readRows(gapSchema, [{ ...gap, attempts: 0 }, gap], 'gap').rows).toHaveLength(1)
    expect(readRows(findingSchema, [finding, { ...finding, observed: null }], 'finding')).toMatchObject({
      rows: [finding],
      faults: [expect.stringContaining('finding 1: observed')],
    })
  })
})
