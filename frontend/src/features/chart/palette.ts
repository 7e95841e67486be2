/** The chart draws on a canvas, so it takes its colours from the page's custom properties. */
export interface Palette {
  background: string
  text: string
  grid: string
  crosshair: string
  crosshairLabel: string
  up: string
  down: string
  upSoft: string
  downSoft: string
  font: string
  /** Of the axes, px. */
  fontSize: number
}

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element)
  const value = (name: string) => style.getPropertyValue(name).trim()
  return {
    background: value('--surface'),
    text: value('--muted'),
    grid: value('--grid'),
    crosshair: value('--faint'),
    crosshairLabel: value('--raised-strong'),
    up: value('--up'),
    down: value('--down'),
    upSoft: value('--up-volume'),
    downSoft: value('--down-volume'),
    // The page's list of families, of which a machine lacks most, is looked up anew for each text on a canvas.
    font: 'system-ui, sans-serif',
    fontSize: Number.parseFloat(value('--tiny')),
  }
}
