import type { Browser, Page, WebSocketRoute } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { findChromium, launch } from './browser'

/**
 * The dashboard in a real browser against the running system.
 *
 * BASE_URL    where the api serves the dashboard, such as http://127.0.0.1:8080; without it nothing is tested
 * SCREENSHOT  where to save what the browser showed, optional (.png)
 * CHROMIUM    the browser to use, optional
 * TICKERS     how many tickers are watched, 20 by default
 * PATIENCE_S  how long to wait for the first prices and predictions and for a price to move, 120 by default
 */
const URL_OF_DASHBOARD = process.env.DASHBOARD_URL ?? ''
const { SCREENSHOT } = process.env
const TICKERS = Number(process.env.TICKERS ?? 20)
const PATIENCE_MS = Number(process.env.PATIENCE_S ?? 120) * 1_000

const executablePath = findChromium()
const missing = !URL_OF_DASHBOARD
  ? 'skipped: BASE_URL is not set, so there is no running system to look at'
  : !executablePath
    ? 'skipped: no Chromium found; install it (apt-get install chromium) or set CHROMIUM to its path'
    : null
if (missing) console.log(missing)

describe.skipIf(missing !== null)('dashboard', () => {
  let browser: Browser
  let page: Page
  const errors: string[] = []
  const strangers: string[] = []

  beforeAll(async () => {
    browser = await launch(executablePath ?? '')
    page = await open()
  })
  afterAll(async () => {
    await browser.close()
  })

  /** A page that notes its errors and every request that leaves the system. */
  async function open(): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark' })
    const opened = await context.newPage()
    opened.on('pageerror', (error) => errors.push(error.message))
    opened.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text())
    })
    opened.on('request', (request) => {
      if (new URL(request.url()).host !== new URL(URL_OF_DASHBOARD).host) strangers.push(request.url())
    })
    return opened
  }

  const prices = () => page.getByTestId('price').allTextContents()

  it('shows every ticker with a price', { timeout: PATIENCE_MS + 20_000 }, async () => {
    await page.goto(URL_OF_DASHBOARD)
    await expect.poll(async () => (await prices()).length, { timeout: PATIENCE_MS }).toBe(TICKERS)
    await expect
      .poll(async () => (await prices()).every((text) => Number(text.replaceAll(',', '')) > 0), {
        timeout: PATIENCE_MS,
        interval: 250,
      })
      .toBe(true)
  })

  it('says where the prices come from', async () => {
    const answer = await fetch(new URL('/stocks', URL_OF_DASHBOARD))
    expect(answer.ok).toBe(true)
    const label = (await page.getByTestId('source').textContent()) ?? ''
    expect(label).toMatch(/^(Live market|Simulated market|Replay)/)
    const source = await page.getByTestId('source').getAttribute('data-source')
    const expected = { live: 'Live market', simulated: 'Simulated market', replay: 'Replay' }[source ?? '']
    expect(label.startsWith(expected ?? 'unknown source')).toBe(true)
    // Only the live market may pass for one, and nobody needs a pointer to learn what another is.
    if (source !== 'live') {
      await expect.poll(() => page.title()).toContain(expected)
      const note = page.getByTestId('source-note')
      expect(await note.textContent()).toMatch(source === 'simulated' ? /an effect is planted/ : /^Recorded/)
      expect((await note.boundingBox())?.y).toBeLessThan(200)
    }
    expect(await page.getByTestId('market').textContent()).toMatch(/Market (open|closed)/)
    expect(await page.getByTestId('connection').textContent()).toContain('Connected')
  })

  it('keeps the disclaimer in view', async () => {
    const disclaimer = page.getByTestId('disclaimer')
    expect(await disclaimer.textContent()).toContain('not investment advice')
    const box = await disclaimer.boundingBox()
    expect(box).not.toBeNull()
    expect((box?.y ?? 0) + (box?.height ?? 0)).toBeLessThanOrEqual(900)
  })

  it('draws candles', async () => {
    const painted = () =>
      page
        .getByTestId('chart')
        .locator('canvas')
        .evaluateAll((canvases) => {
          const colours = new Set<number>()
          for (const canvas of canvases as HTMLCanvasElement[]) {
            const pixels = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data
            if (!pixels) continue
            for (let index = 0; index < pixels.length; index += 4 * 7) {
              colours.add(((pixels[index] ?? 0) << 16) | ((pixels[index + 1] ?? 0) << 8) | (pixels[index + 2] ?? 0))
            }
          }
          return colours.size
        })
    // A blank chart has its background and its text; candles and volume bring many more colours.
    await expect.poll(painted, { timeout: 30_000, interval: 500 }).toBeGreaterThan(12)
    await expect.poll(() => page.getByRole('figure').textContent(), { timeout: 10_000 }).toMatch(/O .*H .*L .*C /)
  })

  it("shows both models' probabilities, each adding up to 100 %", { timeout: PATIENCE_MS + 20_000 }, async () => {
    await page.getByTestId('probabilities').waitFor({ timeout: PATIENCE_MS })
    for (const model of ['lstm', 'transformer']) {
      const cells = page.getByTestId('probabilities').locator(`td[data-model="${model}"]`)
      const shown = (await cells.allTextContents()).map((text) => Number.parseFloat(text))
      expect(shown).toHaveLength(3)
      expect(shown.every((value) => value >= 0 && value <= 100)).toBe(true)
      expect(Math.abs(shown.reduce((sum, value) => sum + value, 0) - 100)).toBeLessThan(0.25)
    }
    expect(await page.getByTestId('signal').textContent()).toMatch(/Buy|Sell|Watch|Quiet/)
  })

  it("says of each stock what the api's decision says, and nothing against it", async () => {
    interface Recommendation {
      action: string
      reason: string
      decision: { headline: string; blocked_by: string | null } | null
      standing: { state: string; sentence: string } | null
    }
    interface Stock {
      ticker: string
      analysis: { recommendation: Recommendation } | null
    }
    const known = async () => ((await ask('/stocks')).stocks as Stock[]).filter(({ analysis }) => analysis !== null)
    const card = page.getByTestId('signal-card')
    for (const { ticker } of (await known()).slice(0, 5)) {
      await page.locator(`tr[data-ticker="${ticker}"]`).click()
      // A minute may close in between.
      await expect
        .poll(
          async () => {
            const said = (await known()).find((stock) => stock.ticker === ticker)?.analysis?.recommendation
            const shown = (await card.textContent()) ?? ''
            const words = [said?.decision?.headline, said?.reason, said?.standing?.sentence]
            return said !== undefined && words.every((part) => part === undefined || shown.includes(part))
          },
          { timeout: 30_000, interval: 250 },
        )
        .toBe(true)
    }
    for (const { analysis } of await known()) {
      const { action, decision, standing } = analysis?.recommendation ?? {}
      expect([action, decision?.blocked_by === null, standing != null]).toEqual(
        action === 'hold' ? ['hold', false, false] : [action, true, true],
      )
    }
  })

  it('follows the market', { timeout: PATIENCE_MS + 20_000 }, async () => {
    const before = await prices()
    await expect
      .poll(async () => (await prices()).filter((price, index) => price !== before[index]).length, {
        timeout: PATIENCE_MS,
        interval: 500,
      })
      .toBeGreaterThan(0)
  })

  /** What the api says, as it is. */
  async function ask(path: string): Promise<Record<string, unknown[] | number>> {
    const answer = await fetch(new URL(path, URL_OF_DASHBOARD))
    expect(answer.ok).toBe(true)
    return (await answer.json()) as Record<string, unknown[] | number>
  }

  it('shows the news, the economy and what is missing as the api has them', async () => {
    const ticker = (await page.locator('tr[aria-selected="true"]').getAttribute('data-ticker')) ?? ''
    const shown = async () => [
      await page.getByTestId('news').locator('li').count(),
      await page.getByTestId('economy').locator('li').count(),
      await page.getByTestId('quality').count(),
    ]
    const known = async () => {
      const { news } = await ask(`/stocks/${ticker}/news?limit=50`)
      const { series } = await ask('/macro')
      const { open_gaps, total_findings } = await ask(`/data-quality?ticker=${ticker}`)
      return [(news as unknown[]).length, (series as unknown[]).length, Number(open_gaps) + Number(total_findings) && 1]
    }
    // What arrives meanwhile is shown half a minute later.
    await expect
      .poll(async () => ({ shown: await shown(), known: await known() }), { timeout: 100_000, interval: 1_000 })
      .toSatisfy(({ shown, known }: Record<string, unknown>) => String(shown) === String(known))
  })

  it('goes through the tickers by keyboard', async () => {
    const selected = () => page.locator('tr[aria-selected="true"]').getAttribute('data-ticker')
    const first = await selected()
    await page.keyboard.press('ArrowDown')
    await expect.poll(selected).not.toBe(first)
    await page.keyboard.press('ArrowUp')
    await expect.poll(selected).toBe(first)
    await page.keyboard.press('2')
    await expect
      .poll(() => page.getByRole('button', { name: '5m, 5 minutes' }).getAttribute('aria-pressed'))
      .toBe('true')
    await page.keyboard.press('1')
    await page.keyboard.press('/')
    await page.keyboard.type('zzzz')
    await expect.poll(() => page.getByTestId('price').count()).toBe(0)
    await page.keyboard.press('Escape')
    await expect.poll(() => page.getByTestId('price').count()).toBe(TICKERS)
  })

  it('saves what it looks like', async () => {
    if (SCREENSHOT) await page.screenshot({ path: SCREENSHOT })
  })

  it('shows news that arrives, and takes no headline for more than text', async () => {
    const story = {
      title: '<img src=x onerror="document.title = 1"> beats expectations',
      summary: null,
      publisher: 'Newswire',
      url: 'https://news.example/story',
      published_at: '2026-03-26T13:20:00Z',
      first_seen_at: '2026-03-26T13:31:00Z',
      available_at: '2026-03-26T13:31:02Z',
      sources: ['yahoo', 'finnhub'],
      tickers: ['AAPL'],
      sentiment: { model: 'lexicon-1', negative: 0.1, neutral: 0.2, positive: 0.7, score: 0.6 },
    }
    const trick = { ...story, title: 'A trick', url: 'javascript:alert(1)', sentiment: null, sources: ['yahoo'] }
    const later = { ...story, title: 'Later', first_seen_at: '2026-03-27T01:00:00Z' }
    const gap = { start: story.published_at, end: story.first_seen_at, reason: 'missing_minutes', expected_bars: 11 }
    let answer: object = { news: [] }
    const other = await open()
    await other.route('**/stocks/*/news?*', (route) => route.fulfill({ json: answer }))
    await other.route('**/data-quality?*', (route) =>
      route.fulfill({
        json: { open_gaps: 1, gaps: [{ ...gap, attempts: 2 }], total_findings: 0, findings: [] },
      }),
    )
    const news = other.getByTestId('news')
    const lookAgain = () => other.evaluate(() => document.dispatchEvent(new Event('visibilitychange')))
    await other.goto(URL_OF_DASHBOARD)
    await expect.poll(() => news.textContent(), { timeout: 20_000 }).toMatch(/No news of [A-Z]+ yet/)

    answer = { news: [story, trick, { title: 'malformed' }] }
    await lookAgain()
    await expect.poll(() => news.locator('li').count()).toBe(2)
    const link = news.getByRole('link')
    expect(await link.textContent()).toBe(story.title)
    expect(await link.evaluate((a: HTMLAnchorElement) => [a.href, a.target, a.rel])).toEqual([
      story.url,
      '_blank',
      'noopener noreferrer',
    ])
    const [first, second] = await news.locator('li').allInnerTexts()
    expect(first).toMatch(/\+0\.60[^]*lexicon-1[^]*26 Mar 2026, 09:31 · Newswire · 2 sources/)
    expect(second).toMatch(/not read[^]*A trick/)

    answer = { news: [later, story, trick] }
    await lookAgain()
    await expect.poll(() => news.locator('li').count()).toBe(3)
    expect(await news.locator('li').first().innerText()).toMatch(/Later[^]*26 Mar 2026, 21:00[^]*new/)

    answer = {}
    await lookAgain()
    await expect.poll(() => news.textContent()).toMatch(/Not refreshed for \d+ s/)
    expect(await news.locator('li').count()).toBe(3)
    await other.keyboard.press('ArrowDown')
    await news.getByRole('alert').waitFor()
    expect(await news.locator('li').count()).toBe(0)

    const quality = other.getByTestId('quality')
    expect(await quality.locator('summary').innerText()).toMatch(/^About 11 minutes are missing: 26 Mar 2026, 09:20/)
    await quality.locator('summary').click()
    expect(await quality.locator('li').allInnerTexts()).toEqual([expect.stringContaining('Asked for again 2 times.')])
    await other.context().close()
  })

  it('shows a lost connection, comes back, and is not upset by garbage', async () => {
    const other = await open()
    let reachable = true
    let current: WebSocketRoute | undefined
    await other.routeWebSocket(/\/ws$/, async (socket) => {
      if (!reachable) {
        await socket.close()
        return
      }
      current = socket
      socket.connectToServer()
    })
    await other.goto(URL_OF_DASHBOARD)
    const connection = other.getByTestId('connection')
    await expect.poll(() => connection.textContent(), { timeout: 20_000 }).toContain('Connected')

    current?.send('{"type":"price","seq":')
    current?.send('{"type":"snapshot","seq":"x"}')

    reachable = false
    await current?.close()
    await other.getByTestId('lost').waitFor({ timeout: 10_000 })
    await expect.poll(() => connection.textContent()).toMatch(/Connection lost\. Again in \d+ s/)
    expect(await other.getByTestId('price').count()).toBe(TICKERS)

    reachable = true
    await expect.poll(() => connection.textContent(), { timeout: 30_000 }).toContain('Connected')
    await other.getByTestId('lost').waitFor({ state: 'detached' })
    await other.context().close()
  })

  it('follows what a first start still compiles', async () => {
    const other = await open()
    let client: WebSocketRoute | undefined
    let seq = 0
    let status: object = {}
    await other.routeWebSocket(/\/ws$/, (socket) => {
      client = socket
      socket.connectToServer().onMessage((text) => {
        const message = JSON.parse(text.toString()) as { type: string; seq: number; status: object }
        // Only what is told below changes the status from here on.
        if (message.type !== 'snapshot') return
        ;({ seq, status } = message)
        socket.send(text)
      })
    })
    const tell = (setup: object | null) => {
      seq += 1
      client?.send(JSON.stringify({ type: 'status', seq, status: { ...status, setup } }))
    }
    await other.goto(URL_OF_DASHBOARD)
    await expect.poll(() => other.getByTestId('price').count(), { timeout: 20_000 }).toBe(TICKERS)
    const notice = other.getByTestId('setup')
    const building = { state: 'building', done: 312, of: 620, message: 'Still compiling: 312 of 620.' }
    tell(building)
    await expect.poll(() => notice.textContent()).toContain('312 of 620')
    expect(await notice.getByRole('progressbar').evaluate((bar: HTMLProgressElement) => bar.position)).toBeCloseTo(
      0.503,
    )
    tell({ ...building, done: 400, message: 'Still compiling: 400 of 620.' })
    await expect.poll(() => notice.textContent()).toContain('400 of 620')
    await notice.getByRole('button', { name: 'Hide' }).click()
    await notice.waitFor({ state: 'detached' })
    // A failure is told to those as well who hid the progress.
    tell({ ...building, state: 'failed', message: 'Compiling failed: run ./scripts/run again.' })
    await expect.poll(() => notice.textContent()).toContain('./scripts/run')
    expect(await notice.getAttribute('role')).toBe('alert')
    tell(null)
    await notice.waitFor({ state: 'detached' })
    await other.context().close()
  })

  it('asks nobody but the api, and logs no error', () => {
    expect(strangers).toEqual([])
    expect(errors).toEqual([])
  })
})
