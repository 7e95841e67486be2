import { writeFileSync } from 'node:fs'

import { describe, it } from 'vitest'

import { findChromium, launch } from './browser'
import {
  analysis,
  answer,
  barAt,
  iso,
  lastPrice,
  MINUTES,
  NOW,
  saidOf,
  snapshot,
  STATUS,
  stock,
  TICKERS,
} from './market'
import { StandIn } from './stand-in'

/**
 * Measures what the page costs while prices come, a status every 5 s as the api sends it, and in the middle of each
 * minute the bars and analyses of all stocks: `scripts/bench page` runs it. It decides nothing.
 *
 * BENCH_OUT      the file for the figures; without it nothing is measured
 * BENCH_SECONDS  how long, 60 by default: a whole minute
 * BENCH_TICKERS  how many stocks, 20 by default; each has two prices a second
 */
const { BENCH_OUT } = process.env
const SECONDS = Number(process.env.BENCH_SECONDS ?? 60)
const TICKER_COUNT = Number(process.env.BENCH_TICKERS ?? TICKERS.length)
const PRICES_PER_SECOND = 2
const STATUS_EVERY_MS = 5_000
const MINUTE_MS = 60_000
const executablePath = findChromium()

describe.skipIf(BENCH_OUT === undefined || executablePath === null)('the page under prices', () => {
  it('takes so much of a core', { timeout: (SECONDS + 60) * 1_000 }, async () => {
    const names = Array.from({ length: TICKER_COUNT }, (_, index) => TICKERS[index] ?? `T${index}`)
    const stocks = names.map((ticker, index) => stock(index % TICKERS.length, { ticker }))
    const standIn = await StandIn.start(snapshot({}, stocks), answer)
    const browser = await launch(executablePath ?? '')
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark' })
    await page.addInitScript(() => {
      const tasks: number[] = []
      Object.assign(window, { tasks })
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) tasks.push(duration)
      }).observe({ type: 'longtask' })
    })
    await page.goto(standIn.url)
    await page
      .locator('tr[data-ticker]')
      .nth(names.length - 1)
      .waitFor()
    await page.waitForTimeout(3_000)

    const session = await browser.newBrowserCDPSession()
    const renderers = async () => {
      const { processInfo } = await session.send('SystemInfo.getProcessInfo')
      return processInfo.filter(({ type }) => type === 'renderer').reduce((sum, { cpuTime }) => sum + cpuTime, 0)
    }
    await page.evaluate(() => (window as unknown as { tasks: number[] }).tasks.splice(0))
    const [began, cpuBefore] = [performance.now(), await renderers()]
    const say = (index: number, time: string, price: number, bar: object | null) => {
      const { previous_close } = stock(index % TICKERS.length)
      const change = price - previous_close
      const change_percent = (change / previous_close) * 100
      standIn.say({ type: 'price', ticker: names[index], time, price, change, change_percent, bar })
    }
    let [told, statuses, minutes] = [0, 0, 0]
    // As evenly over time as they come in a market with many stocks.
    while (performance.now() - began < SECONDS * 1_000) {
      const elapsed = performance.now() - began
      const due = (elapsed / 1_000) * PRICES_PER_SECOND * names.length
      for (; told < due; told += 1) {
        const index = (told * 7) % names.length
        const price = Number((lastPrice(index % TICKERS.length) + 0.01 * ((told % 19) - 9)).toFixed(2))
        say(index, iso(NOW + elapsed), price, null)
      }
      for (; statuses < Math.floor(elapsed / STATUS_EVERY_MS); statuses += 1) {
        standIn.say({ type: 'status', status: { ...STATUS, now: iso(NOW + elapsed) } })
      }
      for (; minutes < Math.round(elapsed / MINUTE_MS); minutes += 1) {
        for (const [index, ticker] of names.entries()) {
          const of = index % TICKERS.length
          const bar = barAt(of, MINUTES + minutes)
          say(index, iso(NOW + elapsed), bar.close, bar)
          standIn.say({ type: 'analysis', ...analysis(of, saidOf(of + minutes + 1), MINUTES + minutes), ticker })
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    const wall = (performance.now() - began) / 1_000
    const cpu = (await renderers()) - cpuBefore
    const tasks = await page.evaluate(() => (window as unknown as { tasks: number[] }).tasks)
    await browser.close()
    await standIn.stop()
    const figures = {
      tickers: names.length,
      prices_per_second: Math.round(told / wall),
      seconds: Number(wall.toFixed(1)),
      renderer_cpu_percent: Number(((100 * cpu) / wall).toFixed(1)),
      tasks_over_50_ms: tasks.length,
      longest_task_ms: Math.round(Math.max(0, ...tasks)),
    }
    writeFileSync(BENCH_OUT ?? '', `${JSON.stringify(figures)}\n`)
  })
})
