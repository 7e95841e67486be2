import { createRequire } from 'node:module'

import type { Page } from 'playwright-core'

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

interface AxeResult {
  violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[]
}

/** What axe finds wrong, a line each. */
export async function findViolations(page: Page): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in window))) await page.addScriptTag({ path: AXE })
  const { violations } = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run: (options: object) => Promise<AxeResult> } }
    return axe.run({
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      rules: { 'label-content-name-mismatch': { enabled: true } },
    })
  })
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary ?? ''}`),
  )
}

/**
 * Numbers of which a part cannot be seen: that reach out of their element, or out of one above it that cuts off what does
 * not fit; and what scrolls sideways although it is not marked as meant to. Names are no numbers.
 */
export function findClippedNumbers(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const clipped: string[] = []
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    for (let text = texts.nextNode(); text; text = texts.nextNode()) {
      const element = text.parentElement
      const words = text.textContent ?? ''
      if (!element || !/\d/.test(words) || element.closest('[data-name], .visually-hidden, script, style')) continue
      if (!element.checkVisibility()) continue
      const range = document.createRange()
      range.selectNodeContents(text)
      const box = range.getBoundingClientRect()
      let above: Element | null = element
      for (; above; above = above.parentElement) {
        const { overflowX, display } = getComputedStyle(above)
        // What is above a dialog in the document does not cut it off: it lies over all.
        if (above.matches('[data-scrolls-sideways], dialog')) break
        if (overflowX === 'visible' || display === 'inline') continue
        const { left, right } = above.getBoundingClientRect()
        if (box.left < left - 1 || box.right > right + 1) clipped.push(`${words} in ${above.className}`)
      }
      if (!above && (box.right > window.innerWidth + 1 || box.left < -1)) clipped.push(`${words} beside the window`)
    }
    for (const element of document.body.querySelectorAll('*:not([data-scrolls-sideways])')) {
      const { overflowX } = getComputedStyle(element)
      const scrolls = (overflowX === 'auto' || overflowX === 'scroll') && element.scrollWidth > element.clientWidth
      if (scrolls) clipped.push(`${element.className} scrolls sideways`)
    }
    return clipped
  })
}

/** How far the document could be scrolled. */
export function scrollsBy(page: Page): Promise<[number, number]> {
  return page.evaluate(() => {
    const { scrollWidth, scrollHeight, clientWidth, clientHeight } = document.documentElement
    return [scrollWidth - clientWidth, scrollHeight - clientHeight]
  })
}

/** Notes what is written on canvases from now on; to be called before the page is opened. */
export async function watchCanvases(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const written: string[] = []
    Object.assign(window, { written })
    // eslint-disable-next-line @typescript-eslint/unbound-method
    const { fillText } = CanvasRenderingContext2D.prototype
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
      written.push(text)
      fillText.call(this, text, ...rest)
    }
  })
}

/** What was written on canvases since it was asked last. */
export function takeWritten(page: Page): Promise<string[]> {
  return page.evaluate(() => (window as unknown as { written: string[] }).written.splice(0))
}
