import { existsSync } from 'node:fs'
import path from 'node:path'

import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import { findChromium, launch } from './browser'
import { findClippedNumbers, findViolations, scrollsBy, takeWritten, watchCanvases } from './looks'
import {
  analysis,
  answer,
  HOLDS,
  iso,
  lastPrice,
  MINUTES,
  NOW,
  RECOMMENDATIONS,
  SIMULATED,
  snapshot,
  STATUS,
  stock,
  stockSaying,
  stored,
  TICKERS,
  tickerThat,
} from './market'
import { BUILT_PAGE, StandIn } from './stand-in'

/**
 * The built page in a real browser, with a stand-in for the api: in states that the real system cannot be brought into.
 *
 * PICTURES  a folder for what it looks like in each size, optional
 * CHROMIUM  the browser to use, optional
 */
const { PICTURES } = process.env
const MINUTE_MS = 60_000

const executablePath = findChromium()
const missing = !existsSync(path.join(BUILT_PAGE, 'index.html'))
  ? 'skipped: the page is not built; npm run build does it'
  : !executablePath
    ? 'skipped: no Chromium found; install it (apt-get install chromium) or set CHROMIUM to its path'
    : null
if (missing) console.log(missing)

const DESKTOPS = [
  [1024, 768],
  [1280, 720],
  [1440, 900],
  [1920, 1080],
  [2560, 1440],
] as const
const SMALL = [
  [320, 640],
  [390, 844],
  [844, 390],
  [820, 1180],
] as const
const LOOKS = [
  { colorScheme: 'dark', forcedColors: 'none' },
  { colorScheme: 'light', forcedColors: 'none' },
  { colorScheme: 'dark', forcedColors: 'active' },
] as const

describe.skipIf(missing !== null)('the page', () => {
  let browser: Browser
  let standIn: StandIn
  let page: Page
  const errors: string[] = []

  beforeAll(async () => {
    browser = await launch(executablePath ?? '')
  })
  afterAll(async () => {
    await browser.close()
  })
  afterEach(async () => {
    await page.context().close()
    await standIn.stop()
    expect(errors.splice(0)).toEqual([])
  })

  async function open(
    first: object | string = snapshot(),
    options: BrowserContextOptions = {},
    hash = '',
  ): Promise<void> {
    standIn = await StandIn.start(first, answer)
    const context = await browser.newContext({
      viewport: { width: 1440, height: 900 },
      colorScheme: 'dark',
      timezoneId: 'Europe/Berlin',
      ...options,
    })
    page = await context.newPage()
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('console', (message) => {
      // That a socket was refused is what some tests are about.
      const refused = message.text().startsWith('WebSocket connection to')
      if (message.type() === 'error' && !refused) errors.push(message.text())
    })
    await watchCanvases(page)
    await page.goto(standIn.url + hash)
  }
  const ready = () => page.locator('tr[data-ticker]').first().waitFor()
  const row = (ticker: string) => page.locator(`tr[data-ticker="${ticker}"]`)
  const badge = (ticker: string) => row(ticker).locator('.badge')
  const card = () => page.getByTestId('signal-card')
  const tell = (status: object) => {
    standIn.say({ type: 'status', status: { ...STATUS, ...status } })
  }
  const text = async (locator: Locator) => ((await locator.textContent()) ?? '').replaceAll('\u202f', ' ')
  const chosen = () => page.locator('tr[aria-selected="true"]').getAttribute('data-ticker')

  describe('says of a signal', () => {
    const all = { ...RECOMMENDATIONS, ...HOLDS }
    const stocks = Object.values(all).map((said, index) => stockSaying(index, said))
    /** The page with a stock for each that can be said, the api's history as new as the socket. */
    const openAll = async () => {
      await open(snapshot({}, stocks), {}, '#AAPL/1m')
      standIn.answer = (url) => {
        const said = stocks.find(({ ticker }) => url.pathname === `/stocks/${ticker}/predictions`)
        return said ? { predictions: [stored(said.analysis)], next_cursor: null } : answer(url)
      }
      await page.reload()
      await ready()
    }
    /** The classes that each model rules out or leans to, as the card has them. */
    const marked = (mark: 'ruled-out' | 'lean') =>
      page.getByTestId('probabilities').evaluate((table, attribute) => {
        const found: Record<string, string[]> = { lstm: [], transformer: [] }
        for (const cell of table.querySelectorAll<HTMLElement>(`td[data-${attribute}="true"]`)) {
          found[cell.dataset.model ?? '']?.push(cell.closest('tr')?.dataset.class ?? '')
        }
        return found
      }, mark)

    it('in its row, its card and the list of late only what both models show', async () => {
      await openAll()
      for (const [index, said] of Object.values(all).entries()) {
        const ticker = TICKERS[index] ?? ''
        await row(ticker).click()
        await expect.poll(() => text(card())).toContain(said.decision.headline)
        const [ruledOut, leans] = [await marked('ruled-out'), await marked('lean')]
        const models = ['lstm', 'transformer'].map((name) => ({ out: ruledOut[name] ?? [], lean: leans[name]?.[0] }))
        const kind = await badge(ticker).getAttribute('data-kind')
        const words = await text(badge(ticker))
        const direction = words.startsWith('▲') ? 'up' : words.startsWith('▼') ? 'down' : null
        const confirming = (side: string) =>
          models.filter(({ out, lean }) => lean === side && out.includes(side === 'up' ? 'down' : 'up')).length
        const opposed = (side: string) =>
          models.some(({ out, lean }) => out.includes(side) || (lean !== undefined && lean !== side))
        const watched = ['up', 'down'].filter((side) => confirming(side) > 0 && !opposed(side))
        switch (kind) {
          case 'buy':
          case 'sell':
            expect(direction, ticker).toBe(kind === 'buy' ? 'up' : 'down')
            expect(confirming(direction ?? ''), ticker).toBe(2)
            break
          case 'watch':
            expect(watched, ticker).toEqual([direction])
            break
          default:
            expect([kind, direction, watched], ticker).toEqual(['quiet', null, []])
        }
      }
    })

    it('in its row, its card and the list of late with the same emphasis, whatever happens', async () => {
      await openAll()
      const muted = async (ticker: string) => [
        await badge(ticker).getAttribute('data-muted'),
        await page.getByTestId('signal').getAttribute('data-muted'),
        await page.locator('ol .badge').first().getAttribute('data-muted'),
      ]
      const expectAll = async (mutes: (name: string) => boolean) => {
        for (const [index, name] of Object.keys(all).entries()) {
          const ticker = TICKERS[index] ?? ''
          await row(ticker).click()
          const expected = String(mutes(name))
          await expect.poll(() => muted(ticker), { message: name }).toEqual([expected, expected, expected])
        }
      }
      await expectAll((name) => name === 'losing')
      tell({ market: 'closed', last_close: iso(NOW) })
      await expectAll(() => true)
      tell({ now: iso(NOW + 25 * MINUTE_MS), market: 'closed', last_close: iso(NOW) })
      await expectAll(() => true)
      await row(tickerThat('watch')).click()
      await expect.poll(() => text(badge(tickerThat('watch')))).toBe('▲ Watch expired')
      await expect.poll(() => text(page.getByTestId('expiry'))).toBe('expired at 11:24')
    })

    it('that it was analysed late, and does not show it as one that was given', async () => {
      const late = { ...analysis(0, RECOMMENDATIONS.buy), late: true }
      await open(snapshot({}, [stock(0, { analysis: late }), stock(1)]), {}, '#AAPL/1m')
      standIn.answer = (url) =>
        url.pathname.endsWith('/predictions') ? { predictions: [stored(late)], next_cursor: null } : answer(url)
      await page.reload()
      await expect.poll(() => text(card())).toContain('analysed late')
      await expect.poll(() => text(badge('AAPL'))).toBe('▲ Buy late')
      for (const shown of [badge('AAPL'), page.getByTestId('signal'), page.locator('ol .badge').first()]) {
        expect(await shown.getAttribute('data-muted')).toBe('true')
      }
      expect(await text(page.getByLabel('Recent signals, newest first'))).toContain('Analysed late.')
    })

    it('that until when it counts is not known without a connection, and of which time the prices are', async () => {
      const ticker = tickerThat('buy')
      await open(snapshot(), {}, `#${ticker}/1m`)
      await expect.poll(() => text(page.getByTestId('expiry'))).toContain('24 min left')
      standIn.accepts = false
      standIn.hangUp()
      await expect.poll(() => text(page.getByTestId('expiry'))).toBe('not known without a connection; until 11:24')
      expect(await page.getByTestId('signal').getAttribute('data-muted')).toBe('true')
      expect(await badge(ticker).getAttribute('data-muted')).toBe('true')
      expect(await text(row(ticker))).toContain('of 11:00')
    })

    it('what it expects after costs, never a confidence; of a hold no number at all', async () => {
      await open()
      await ready()
      expect(await page.getByRole('columnheader').allTextContents()).toContain('Signal')
      expect(await text(badge(tickerThat('buy')))).toBe('▲ Buy +6.2 bp')
      expect(await text(badge(tickerThat('losing')))).toBe('▼ Sell +0.8 bp')
      expect((await text(badge(tickerThat('watch')))).trim()).toBe('▲ Watch')
      expect((await text(badge(tickerThat('quiet')))).trim()).toBe('Quiet')
      expect(await text(page.getByTestId('watchlist'))).not.toMatch(/advice|confidence/i)
    })

    it('how its like have fared, and does not call what loses a recommendation', async () => {
      await open()
      await row(tickerThat('losing')).click()
      await expect.poll(() => text(card())).toContain('429 bets on 9 days: 28 % hit, -1.7 bp each')
      expect(await text(card())).toContain('No recommendation')
      expect((await text(card())).match(/recommendation/gi)?.length).toBe(
        (await text(card())).match(/no recommendation/gi)?.length,
      )
      expect(await page.getByTestId('signal').getAttribute('data-muted')).toBe('true')
      expect(await badge(tickerThat('losing')).getAttribute('data-muted')).toBe('true')
      expect(await badge(tickerThat('buy')).getAttribute('data-muted')).toBe('false')
      await row(tickerThat('buy')).click()
      await expect.poll(() => text(page.getByTestId('record'))).toMatch(/^Proven so far\. 212 bets/)
      expect(await page.getByTestId('signal').getAttribute('data-muted')).toBe('false')
    })

    it('that it is no advice, wherever it stands', async () => {
      await open()
      await row(tickerThat('buy')).click()
      await expect.poll(() => text(card())).toContain('Not investment advice.')
      await page.getByRole('button', { name: 'How it was decided' }).click()
      expect(await text(page.getByTestId('decision'))).toContain('not investment advice')
    })

    it("the statistician's words one click further, and leads back by Escape", async () => {
      await open()
      await row(tickerThat('buy')).click()
      const button = page.getByRole('button', { name: 'How it was decided' })
      await button.click()
      const sheet = page.getByTestId('decision')
      await expect.poll(() => sheet.isVisible()).toBe(true)
      expect(await text(sheet)).toMatch(
        /Cannot rule out.*a rise, no clear move.*80 % of cases.*\+12\.4 bp.*costs 4\.0 bp/s,
      )
      if (PICTURES) await page.screenshot({ path: path.join(PICTURES, 'sheet.png') })
      // The page below keeps still meanwhile.
      const before = await chosen()
      await page.keyboard.press('ArrowDown')
      expect(await chosen()).toBe(before)
      await page.keyboard.press('Escape')
      await expect.poll(() => sheet.isVisible()).toBe(false)
      expect(await button.evaluate((element) => element === document.activeElement)).toBe(true)
    })

    it('until when it counts, and that it is over', async () => {
      const ticker = tickerThat('buy')
      await open(snapshot(), {}, `#${ticker}/1m`)
      const expiry = page.getByTestId('expiry')
      await expect.poll(() => text(expiry)).toBe('24 min left, until 11:24')
      tell({ now: iso(NOW + 20 * MINUTE_MS) })
      await expect.poll(() => text(expiry)).toBe('4 min left, until 11:24')
      tell({ now: iso(NOW + 25 * MINUTE_MS) })
      await expect.poll(() => text(expiry)).toBe('expired at 11:24')
      expect(await page.getByTestId('signal').getAttribute('data-muted')).toBe('true')
      await expect.poll(() => text(badge(ticker))).toBe('▲ Buy expired')
      expect(await badge(ticker).getAttribute('data-muted')).toBe('true')
    })

    it('that there is no market to act in', async () => {
      const ticker = tickerThat('buy')
      await open(snapshot({ market: 'closed', next_open: iso(NOW + 20 * 60 * MINUTE_MS) }), {}, `#${ticker}/1m`)
      await expect.poll(() => text(page.getByTestId('expiry'))).toContain('the market is closed')
      expect(await page.getByTestId('signal').getAttribute('data-muted')).toBe('true')
      await expect.poll(() => badge(ticker).getAttribute('data-muted')).toBe('true')
    })

    it('what it can when it was stored before decisions were', async () => {
      const old = { action: 'buy', abstained: false, reason: 'An old sentence.', decision: null, standing: null }
      await open(snapshot({}, [stockSaying(0, old), stockSaying(1, { ...old, action: 'hold' })]), {}, '#AAPL/1m')
      await expect.poll(() => text(page.getByTestId('expiry'))).toBe('expired: it was stored by an earlier version')
      await expect.poll(() => text(badge('AAPL'))).toBe('▲ Buy expired')
      expect(await page.getByTestId('signal').getAttribute('data-muted')).toBe('true')
      expect((await text(badge('AMZN'))).trim()).toBe('Quiet')
    })

    it('first what is expected to bring most, when sorted by it', async () => {
      await open()
      await ready()
      await page.getByRole('columnheader', { name: 'Signal' }).getByRole('button').click()
      const labels = async () =>
        (await page.locator('tr[data-ticker] .badge').allTextContents()).map((label) => label.trim())
      await expect
        .poll(async () => (await labels()).map((label) => /Buy|Sell|Watch|Quiet/.exec(label)?.[0]).join(' '))
        .toMatch(/^(Buy ){8}(Sell ){4}(Watch ){4}(Quiet ?){4}$/)
    })
  })

  describe('tells how old a price is', () => {
    it('in its row, beside the quote, on the signal and in the tab', async () => {
      await open(snapshot(), {}, '#AAPL/1m')
      await expect.poll(() => page.title()).toBe(`AAPL ${lastPrice(0).toFixed(2)} · Tandem`)
      tell({ now: iso(NOW + 20 * MINUTE_MS) })
      await expect.poll(() => text(row('AAPL'))).toContain('20 min old')
      await expect.poll(() => text(page.getByTestId('quote'))).toContain('20 min old')
      await expect.poll(() => text(page.getByTestId('stale-price'))).toContain('20 min old')
      await expect.poll(() => page.title()).toContain('(20 min old)')
      expect(await page.getByTestId('signal').getAttribute('data-muted')).toBe('true')
      standIn.say({
        type: 'price',
        ticker: 'AAPL',
        time: iso(NOW + 20 * MINUTE_MS),
        price: 61.03,
        change: 0,
        change_percent: 0,
        bar: null,
      })
      await expect.poll(() => page.title()).toBe('AAPL 61.03 · Tandem')
      await expect.poll(() => page.getByTestId('stale-price').count()).toBe(0)
    })

    it('when the market is closed, unless it is of the last close', async () => {
      const stocks = [0, 14, 40].map((age, index) => stock(index, { price_time: iso(NOW - age * MINUTE_MS) }))
      await open(snapshot({ market: 'closed', now: iso(NOW + 60 * MINUTE_MS), last_close: iso(NOW) }, stocks))
      await expect.poll(() => text(row('BA'))).toContain('2 h old')
      expect(await page.locator('tr[data-stale="true"]').count()).toBe(1)
    })

    it('while the clock stands', async () => {
      await open(snapshot({ paused: true, now: iso(NOW + 20 * MINUTE_MS) }))
      await expect.poll(() => page.locator('tr[data-stale="true"]').count()).toBe(TICKERS.length)
    })

    it('and keeps no price in the tab when the connection is lost', async () => {
      await open(snapshot(), {}, '#MSFT/1m')
      await expect.poll(() => page.title()).toMatch(/^MSFT \d/)
      standIn.accepts = false
      standIn.hangUp()
      await expect.poll(() => page.title()).toBe('Not connected · MSFT · Tandem')
    })
  })

  it('lets the clock stand while the market is paused, and never go back', async () => {
    await open(snapshot({ ...SIMULATED, speed: 60 }))
    const clock = page.getByTestId('clock')
    const seen: string[] = []
    const look = async (ms: number) => {
      for (const end = Date.now() + ms; Date.now() < end;) {
        seen.push((await clock.textContent()) ?? '')
        await page.waitForTimeout(50)
      }
    }
    await ready()
    await look(1_500)
    // Word of the pause comes late, and is a little behind what is shown.
    const paused = {
      ...SIMULATED,
      speed: 60,
      paused: true,
      phase: 'training',
      message: 'Both models are being trained',
    }
    tell({ ...paused, now: iso(NOW + MINUTE_MS) })
    await look(1_000)
    tell({
      ...paused,
      now: iso(NOW + MINUTE_MS),
      progress: { message: 'The LSTM learns: pass 3 of 6', done: 3, of: 6, seconds_left: 14 },
    })
    await look(500)
    const standing = seen.at(-1)
    await look(1_500)
    expect(seen.at(-1)).toBe(standing)
    expect(await text(page.getByTestId('market'))).toContain('standing still')
    expect(await text(page.getByTestId('phase'))).toMatch(/being trained.*pass 3 of 6.*0:14 left/)
    expect(await page.locator('tr[data-stale="true"]').count()).toBe(0)
    tell({ ...SIMULATED, speed: 60, now: iso(NOW + MINUTE_MS) })
    await look(2_500)
    expect(seen).toEqual([...seen].sort())
    expect(new Set(seen).size).toBeGreaterThan(2)
  })

  it('says when nobody sends prices, and what the operator must know', async () => {
    await open()
    await ready()
    const allIsWell = page.getByText(STATUS.message)
    await allIsWell.waitFor()
    tell({
      stale: {
        since: iso(NOW),
        tickers: 20,
        of: 20,
        message: 'No stock has had a bar since 11:00, although the market is open',
      },
      trouble: ['Yahoo does not answer: it is asked again every minute.'],
    })
    await expect.poll(() => text(page.getByTestId('stale'))).toContain('since 11:00')
    expect(await page.getByTestId('stale').getAttribute('role')).toBe('alert')
    expect(await text(page.getByTestId('trouble'))).toContain('Yahoo does not answer')
    expect(await allIsWell.count()).toBe(0)
    tell({ trouble: ['Yahoo does not answer: it is asked again every minute.'] })
    await page.getByTestId('stale').waitFor({ state: 'detached' })
    expect(await allIsWell.count()).toBe(0)
    tell({})
    await allIsWell.waitFor()
    expect(await page.getByTestId('trouble').count()).toBe(0)
    standIn.accepts = false
    standIn.hangUp()
    await page.getByTestId('lost').waitFor()
    expect(await allIsWell.count()).toBe(0)
  })

  it('says in the header how the models do', async () => {
    await open()
    await expect.poll(() => text(page.getByTestId('models'))).toBe('LSTM degraded, Transformer healthy')
    expect(await page.getByTestId('models').getAttribute('data-state')).toBe('degraded')
  })

  it('says how old it is when it cannot be asked for again', async () => {
    await open(snapshot(), {}, '#AAPL/1m')
    const gap = { reason: 'missing_minutes', expected_bars: 11, attempts: 0 }
    const gaps = [{ ...gap, start: iso(NOW - 30 * MINUTE_MS), end: iso(NOW - 19 * MINUTE_MS) }]
    standIn.answer = (url) =>
      url.pathname === '/data-quality' ? { open_gaps: 1, gaps, total_findings: 0, findings: [] } : answer(url)
    await page.reload()
    await page.getByTestId('quality').waitFor()
    await page.getByTestId('models').waitFor()
    standIn.answer = (url) => (['/data-quality', '/drift'].includes(url.pathname) ? {} : answer(url))
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')))
    await page.getByText(/What is missing: not refreshed for \d+ s/).waitFor()
    await page.getByText(/Models' state: not refreshed for \d+ s/).waitFor()
    expect(await text(page.getByTestId('quality'))).toContain('About 11 minutes are missing')
    expect(await text(page.getByTestId('models'))).toContain('LSTM degraded')
  })

  it('comes back by itself when the history of a stock could not be had', async () => {
    await open(snapshot(), { viewport: { width: 1920, height: 1080 } })
    const fails = (url: URL) => url.pathname.startsWith('/stocks/AAPL/')
    standIn.answer = (url) => (fails(url) ? {} : answer(url))
    await page.reload()
    const figure = page.getByRole('figure')
    await figure.getByRole('alert').waitFor()
    await page.getByRole('region', { name: 'Recent signals', exact: true }).getByRole('alert').waitFor()
    standIn.answer = answer
    standIn.hangUp()
    await expect.poll(() => text(figure)).toContain(`C ${lastPrice(0).toFixed(2)}`)
    await page.getByLabel('Recent signals, newest first').waitFor()
  })

  it('has nothing of a run of the market that is over', async () => {
    await open(snapshot(), {}, '#AAPL/1m')
    await expect.poll(() => text(card())).toContain('on the bar of 10:59')
    // Another run begins, half an hour earlier.
    const earlier = analysis(0, RECOMMENDATIONS.quiet, MINUTES - 31)
    standIn.answer = (url) =>
      url.pathname.endsWith('/predictions') ? { predictions: [stored(earlier)], next_cursor: null } : answer(url)
    standIn.snapshot = snapshot({ now: iso(NOW - 30 * MINUTE_MS) }, [stock(0, { analysis: earlier }), stock(1)])
    standIn.hangUp()
    await expect.poll(() => text(card())).toContain('on the bar of 10:29')
    await expect.poll(() => page.getByLabel('Recent signals, newest first').locator('li').count()).toBe(1)
  })

  it('says that a ticker of the address is not watched, and puts the address right', async () => {
    await open(snapshot(), {}, '#ZZZZ/5m')
    await expect.poll(() => text(page.getByTestId('not-watched'))).toBe('ZZZZ is not watched.')
    await expect.poll(() => new URL(page.url()).hash).toBe('#AAPL/5m')
    await row('BA').click()
    await page.getByTestId('not-watched').waitFor({ state: 'detached' })
  })

  it('says so when what comes cannot be read, instead of a skeleton that never ends', async () => {
    await open('{"type":"snapshot","seq":"x"}')
    await page.getByTestId('unreadable').waitFor()
    expect(await text(page.getByTestId('connection'))).not.toContain('Connected')
  })

  describe('the chart', () => {
    const price = lastPrice(0).toFixed(2)

    it('has the price now on its axis, and no other for it when scrolled back', async () => {
      await open(snapshot(), {}, '#AAPL/1m')
      await expect.poll(async () => (await takeWritten(page)).includes(price)).toBe(true)
      const box = await page.getByTestId('chart').boundingBox()
      if (!box) throw new Error('no chart')
      await page.mouse.move(box.x + 120, box.y + 120)
      await page.mouse.down()
      await page.mouse.move(box.x + 700, box.y + 120, { steps: 12 })
      await page.mouse.up()
      await page.mouse.move(box.x - 40, box.y + 120)
      const button = page.getByRole('button', { name: /now/ })
      await button.waitFor()
      await page.waitForTimeout(300)
      await takeWritten(page)
      standIn.say({
        type: 'price',
        ticker: 'AAPL',
        time: iso(NOW),
        price: lastPrice(0) + 0.1,
        change: 0,
        change_percent: 0,
        bar: null,
      })
      const moved = (lastPrice(0) + 0.1).toFixed(2)
      await expect.poll(() => text(button)).toContain(moved)
      await page.waitForTimeout(300)
      // Prices in these data end in 3 cents, marks of the axis do not.
      const prices = (await takeWritten(page)).filter((written) => /^\d+\.\d3$/.test(written))
      expect(prices.filter((written) => written !== price && written !== moved)).toEqual([])
      await button.click()
      await button.waitFor({ state: 'detached' })
      await expect.poll(async () => (await takeWritten(page)).includes(moved)).toBe(true)
    })

    it('lets a finger that moves down scroll the page', async () => {
      await open(snapshot(), { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }, '#AAPL/1m')
      await expect.poll(async () => (await takeWritten(page)).length).toBeGreaterThan(0)
      const box = await page.getByTestId('chart').boundingBox()
      if (!box) throw new Error('no chart')
      const client = await page.context().newCDPSession(page)
      const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', by: number) =>
        client.send('Input.dispatchTouchEvent', {
          type,
          touchPoints: type === 'touchEnd' ? [] : [{ x: box.x + box.width / 2, y: box.y + box.height / 2 - by }],
        })
      await touch('touchStart', 0)
      for (let by = 15; by <= 180; by += 15) await touch('touchMove', by)
      await touch('touchEnd', 0)
      await expect.poll(() => page.evaluate(() => window.scrollY)).toBeGreaterThan(100)
    })
  })

  describe('asks for', () => {
    it('little first, and for nothing that is only passed on the way', async () => {
      await open(snapshot(), {}, '#AAPL/1m')
      await expect.poll(() => standIn.requests.some((path) => path.startsWith('/stocks/AAPL/predictions'))).toBe(true)
      expect(standIn.requests.find((path) => path.includes('predictions'))).toContain('limit=60')
      // The keys come faster than the clock runs, as when one is held.
      await page.clock.install()
      await page.reload()
      await ready()
      await page.clock.pauseAt(Date.now() + 5_000)
      standIn.requests.length = 0
      for (let press = 0; press < 19; press += 1) await page.keyboard.press('ArrowDown')
      await expect.poll(chosen).toBe('XOM')
      await page.clock.runFor(1_000)
      await expect.poll(() => standIn.requests.filter((path) => path.includes('/XOM/')).length).toBe(3)
      // The first press is meant until another follows.
      const asked = standIn.requests.flatMap((path) => /\/stocks\/([A-Z]+)\//.exec(path)?.[1] ?? [])
      expect(new Set(asked)).toEqual(new Set(['AMZN', 'XOM']))
    })

    it('a ticker again, and meanwhile shows what it knew', async () => {
      await open(snapshot(), {}, '#AAPL/1m')
      await expect.poll(async () => (await takeWritten(page)).length).toBeGreaterThan(0)
      await row('BA').click()
      await expect.poll(() => page.getByRole('figure').textContent()).toMatch(/C .*\d/)
      await page.route('**/stocks/AAPL/historical*', async (route) => {
        await new Promise((resolve) => setTimeout(resolve, 3_000))
        await route.fallback()
      })
      await page.waitForTimeout(200)
      await row('AAPL').click()
      await expect
        .poll(() => text(page.getByRole('figure')), { timeout: 1_500 })
        .toContain(`C ${lastPrice(0).toFixed(2)}`)
    })
  })

  it('says in a replay that it was given neither news nor figures', async () => {
    await open(snapshot({ source: 'replay', speed: 60, source_note: 'Recorded prices.' }))
    standIn.answer = (url) =>
      url.pathname === '/macro' ? { series: [] } : url.pathname.endsWith('/news') ? { news: [] } : answer(url)
    await page.reload()
    await expect.poll(() => text(page.getByTestId('economy'))).toContain('This replay was given no figures')
    await expect.poll(() => text(page.getByTestId('news'))).toContain('only the news that it was given')
  })

  it('shows figures of the economy soon after they came', async () => {
    await open()
    standIn.answer = (url) => (url.pathname === '/macro' ? { series: [] } : answer(url))
    await page.reload()
    await expect.poll(() => text(page.getByTestId('economy'))).toContain('No figures yet')
    standIn.answer = answer
    await expect.poll(() => page.getByTestId('economy').locator('li').count(), { timeout: 8_000 }).toBe(5)
  })

  it('writes no name twice and no separator before nothing', async () => {
    await open(snapshot({}, [stock(0, { ticker: 'FB', name: 'FB', sector: '' }), stock(1)]), {}, '#FB/1m')
    await expect.poll(() => text(page.getByRole('heading', { name: 'FB' }))).toMatch(/^FB\s*$/)
    expect(await text(row('FB').getByRole('rowheader'))).toBe('FB')
  })

  describe('by keyboard', () => {
    it('Home, End and the page keys go through the rows, and take the focus along', async () => {
      await open()
      await ready()
      await row('AAPL').focus()
      const at = async () => [
        await chosen(),
        await page.evaluate(() => document.activeElement?.getAttribute('data-ticker')),
      ]
      for (const [key, ticker] of [
        ['End', 'XOM'],
        ['PageUp', TICKERS[9]],
        ['Home', 'AAPL'],
        ['PageDown', TICKERS[10]],
        ['ArrowDown', TICKERS[11]],
        ['ArrowUp', TICKERS[10]],
      ]) {
        await page.keyboard.press(key ?? '')
        await expect.poll(at).toEqual([ticker, ticker])
      }
    })

    it('arrows choose from the filter, Enter leads to the row, Escape clears and then leaves', async () => {
      await open()
      await ready()
      await page.keyboard.press('/')
      await page.keyboard.type('tech')
      await expect.poll(() => page.locator('tr[data-ticker]').count()).toBe(6)
      await page.keyboard.press('ArrowDown')
      await page.keyboard.press('ArrowDown')
      await expect.poll(chosen).toBe('IBM')
      const focused = () =>
        page.evaluate(() => document.activeElement?.getAttribute('data-ticker') ?? document.activeElement?.tagName)
      expect(await focused()).toBe('INPUT')
      await page.keyboard.press('Enter')
      await expect.poll(focused).toBe('IBM')
      await page.keyboard.press('/')
      await page.keyboard.press('Escape')
      await expect.poll(() => page.locator('tr[data-ticker]').count()).toBe(20)
      expect(await focused()).toBe('INPUT')
      await page.keyboard.press('Escape')
      await expect.poll(focused).toBe('IBM')
    })

    it('single keys can be switched off, and stay so', async () => {
      await open()
      await ready()
      const interval = (name: string) => page.getByRole('button', { name }).getAttribute('aria-pressed')
      await page.keyboard.press('2')
      await expect.poll(() => interval('5m, 5 minutes')).toBe('true')
      await page.getByRole('checkbox', { name: /^Keys/ }).uncheck()
      await page.reload()
      await ready()
      await page.keyboard.press('3')
      await page.keyboard.press('j')
      await page.keyboard.press('/')
      expect(await interval('5m, 5 minutes')).toBe('true')
      expect(await chosen()).toBe('AAPL')
      expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('BODY')
      await page.keyboard.press('ArrowDown')
      await expect.poll(chosen).toBe('AMZN')
      await page.getByRole('checkbox', { name: /^Keys/ }).check()
      await page.keyboard.press('3')
      await expect.poll(() => interval('15m, 15 minutes')).toBe('true')
    })
  })

  describe('on a phone', () => {
    const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

    it('begins with the list; a ticker has the page for itself, and Back leads to where the list was left', async () => {
      await open(snapshot(), phone)
      await ready()
      expect((await row('AAPL').boundingBox())?.y).toBeLessThan(260)
      expect(await page.getByTestId('chart').count()).toBe(0)
      await row('XOM').scrollIntoViewIfNeeded()
      const left = await page.evaluate(() => window.scrollY)
      expect(left).toBeGreaterThan(100)
      await row('XOM').tap()
      await page.getByTestId('chart').waitFor()
      expect(await page.getByTestId('watchlist').isVisible()).toBe(false)
      await expect.poll(() => page.evaluate(() => window.scrollY)).toBe(0)
      await page.goBack()
      await expect.poll(() => page.getByTestId('watchlist').isVisible()).toBe(true)
      await expect.poll(() => page.evaluate(() => window.scrollY)).toBe(left)
      await row('XOM').tap()
      await page.getByRole('button', { name: 'All tickers' }).tap()
      await expect.poll(() => page.getByTestId('watchlist').isVisible()).toBe(true)
    })

    it('leaves the arrows to the page, which scrolls', async () => {
      await open(snapshot(), { viewport: { width: 390, height: 640 } }, '#AAPL/1m')
      await page.getByTestId('chart').waitFor()
      await page.keyboard.press('ArrowDown')
      await expect.poll(() => page.evaluate(() => window.scrollY)).toBeGreaterThan(0)
      expect(new URL(page.url()).hash).toBe('#AAPL/1m')
    })
  })

  describe('in every state axe is content', () => {
    const states: Record<string, () => Promise<unknown>> = {
      lost: () => {
        standIn.accepts = false
        standIn.hangUp()
        return page.getByTestId('lost').waitFor()
      },
      stale: () => {
        const message = 'No stock has had a bar since 11:00, although the market is open'
        tell({ now: iso(NOW + 20 * MINUTE_MS), stale: { since: iso(NOW), tickers: 20, of: 20, message } })
        return page.getByTestId('stale-price').waitFor()
      },
      closed: () => {
        tell({ market: 'closed', next_open: iso(NOW + 20 * 60 * MINUTE_MS), last_close: iso(NOW) })
        return page.getByText('Market closed').waitFor()
      },
      trouble: () => {
        tell({ trouble: ['Yahoo does not answer: it is asked again every minute.'] })
        return page.getByTestId('trouble').waitFor()
      },
      sheet: async () => {
        await page.getByRole('button', { name: 'How it was decided' }).click()
        return page.getByTestId('decision').waitFor()
      },
    }
    it.each(Object.keys(states))('%s', async (state) => {
      await open(snapshot(), {}, `#${tickerThat('buy')}/1m`)
      await expect.poll(() => page.getByTestId('news').locator('li').count()).toBe(12)
      await expect.poll(() => text(page.getByTestId('expiry'))).toContain('min left')
      await states[state]?.()
      for (const look of LOOKS) {
        await page.emulateMedia(look)
        expect(await findClippedNumbers(page), look.colorScheme).toEqual([])
        expect(await findViolations(page), `${look.colorScheme}, ${look.forcedColors}`).toEqual([])
      }
    })
  })

  describe('in every size', () => {
    /** As wide as numbers get. */
    const long = snapshot(
      SIMULATED,
      TICKERS.map((_, index) =>
        stock(index, index % 2 === 0 ? { price: 612_345.67, change: -12_469.25, change_percent: -2_469 } : {}),
      ),
    )

    it.each([...SMALL, ...DESKTOPS])(
      '%d x %d: cuts off no number, nothing scrolls that should not, and axe is content',
      async (width, height) => {
        await open(long, { viewport: { width, height } }, '#AAPL/1m')
        const small = SMALL.some((size) => size[0] === width)
        await expect.poll(async () => (await takeWritten(page)).length).toBeGreaterThan(0)
        await expect.poll(() => page.getByTestId('economy').locator('li').count()).toBe(5)
        await expect.poll(() => page.getByTestId('news').locator('li').count()).toBe(12)
        for (const view of small ? ['detail', 'list'] : ['both']) {
          if (view === 'list') await page.getByRole('button', { name: 'All tickers' }).click()
          for (const look of LOOKS) {
            await page.emulateMedia(look)
            const [sideways, down] = await scrollsBy(page)
            expect(sideways, `${view} scrolls sideways`).toBe(0)
            if (!small) expect(down, 'the document scrolls').toBe(0)
            expect(await findClippedNumbers(page), `${view} in ${look.colorScheme}`).toEqual([])
            if (PICTURES) {
              const name = `${width}x${height}-${view}-${look.forcedColors === 'active' ? 'forced' : look.colorScheme}.png`
              await page.screenshot({ path: path.join(PICTURES, name) })
            }
            expect(await findViolations(page), `${view} in ${look.colorScheme}, ${look.forcedColors}`).toEqual([])
          }
        }
      },
    )

    it.each(DESKTOPS)('%d x %d: shows the whole reason, and how its like have fared', async (width, height) => {
      await open(snapshot(SIMULATED), { viewport: { width, height } }, `#${tickerThat('losing')}/1m`)
      await expect.poll(() => text(card())).toContain('429 bets')
      if (PICTURES) await page.screenshot({ path: path.join(PICTURES, `losing-${width}x${height}.png`) })
      const parts = card().locator('p, dl')
      for (const part of await parts.all()) {
        const seen = await part.evaluate((element) => {
          if (element.closest('dialog')) return true
          const { left, right, top, bottom } = element.getBoundingClientRect()
          const at = (x: number, y: number) => element.contains(document.elementFromPoint(x, y))
          return (
            element.scrollHeight <= element.clientHeight + 1 &&
            at(left + 2, top + 2) &&
            at(Math.min(right - 2, left + 8), bottom - 3)
          )
        })
        expect(seen, await text(part)).toBe(true)
      }
    })
  })
})
