import {
  CandlestickSeries,
  createChart,
  createSeriesMarkers,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  LineStyle,
  TickMarkType,
  type Time,
  type UTCTimestamp,
} from 'lightweight-charts'

import { formatDate, formatDateTime, formatDay, formatMonth, formatPrice, formatTime, formatYear } from '@/lib/format'
import type { EpochMs } from '@/lib/wire'

import type { Arrow } from './arrows'
import { type Candle, type Drawing, tallestVolume } from './candles'
import type { Interval } from './intervals'
import { type Palette, readPalette } from './palette'

/** Candles in view when a ticker is opened: as many as there are and as the chart has room for, but not too fat ones. */
const CANDLE_PX = 8
const FEWEST_IN_VIEW = 20
/** Candles left of the view below which older ones are asked for. */
const OLDER_MARGIN = 60

/** What is in view: its first candle, whether older ones should be got, and whether the newest one is not. */
type ViewListener = (view: { firstIndex: number; nearOldest: boolean; past: boolean }) => void
type PointerListener = (time: EpochMs | null) => void

const toChartTime = (time: EpochMs) => (time / 1000) as UTCTimestamp
const fromChartTime = (time: Time): EpochMs => (time as number) * 1000

function tickMark(time: Time, type: TickMarkType): string {
  const moment = fromChartTime(time)
  switch (type) {
    case TickMarkType.Year:
      return formatYear(moment)
    case TickMarkType.Month:
      return formatMonth(moment)
    case TickMarkType.DayOfMonth:
      return formatDay(moment)
    case TickMarkType.Time:
    case TickMarkType.TimeWithSeconds:
      return formatTime(moment)
  }
}

/** The chart on the page. Made once; told what changed, never rebuilt. */
export class ChartView {
  private readonly chart: IChartApi
  private readonly prices: ISeriesApi<'Candlestick'>
  private readonly volumes: ISeriesApi<'Histogram'>
  private readonly markers: ISeriesMarkersPluginApi<Time>
  private readonly viewListeners = new Set<ViewListener>()
  private readonly pointerListeners = new Set<PointerListener>()
  private palette: Palette
  private arrows: readonly Arrow[] = []
  private worded = true
  private count = 0
  private lastTime: EpochMs = -Infinity
  private tallest = Infinity
  /** The price now, whatever is in view: the chart's own tag would be that of the last candle in view. */
  private priceLine: IPriceLine | null = null
  private direction: 'up' | 'down' = 'up'

  constructor(private readonly container: HTMLElement) {
    this.palette = readPalette(container)
    this.chart = createChart(container, {
      autoSize: true,
      // A finger that moves down scrolls the page.
      handleScroll: { vertTouchDrag: false },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.24 } },
      timeScale: { borderVisible: false, rightOffset: 4, minBarSpacing: 1, timeVisible: true },
      localization: { priceFormatter: formatPrice },
    })
    this.prices = this.chart.addSeries(CandlestickSeries, {
      borderVisible: true,
      lastValueVisible: false,
      priceLineVisible: false,
    })
    this.volumes = this.chart.addSeries(HistogramSeries, {
      priceScaleId: '',
      priceFormat: { type: 'volume' },
      lastValueVisible: false,
      priceLineVisible: false,
    })
    this.volumes.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } })
    this.markers = createSeriesMarkers(this.prices, [])
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (!range) return
      const firstIndex = Math.max(0, Math.floor(range.from))
      const past = this.count > 0 && range.to < this.count - 1
      for (const listener of this.viewListeners) listener({ firstIndex, nearOldest: range.from < OLDER_MARGIN, past })
    })
    this.chart.subscribeCrosshairMove(({ time }) => {
      for (const listener of this.pointerListeners) listener(time === undefined ? null : fromChartTime(time))
    })
    this.applyPalette()
  }

  dispose(): void {
    this.chart.remove()
  }

  /** Draws all again in the colours that the page has now. */
  repaint(candles: readonly Candle[]): void {
    this.palette = readPalette(this.container)
    this.applyPalette()
    this.setCandles(candles)
  }

  setInterval(interval: Interval): void {
    this.chart.applyOptions({
      timeScale: { tickMarkFormatter: tickMark },
      localization: {
        timeFormatter: (time: Time) => (interval === '1d' ? formatDate : formatDateTime)(fromChartTime(time)),
      },
    })
  }

  /** Another ticker or interval: the newest candles come into view. */
  open(candles: readonly Candle[]): void {
    this.setCandles(candles)
    this.prices.priceScale().applyOptions({ autoScale: true })
    const room = Math.max(FEWEST_IN_VIEW, Math.round(this.container.clientWidth / CANDLE_PX))
    const count = Math.min(room, Math.max(FEWEST_IN_VIEW, candles.length + 3))
    const to = candles.length + 3
    this.chart.timeScale().setVisibleLogicalRange({ from: to - count, to })
  }

  /** The same candles with older ones before them: what is in view stays in view. */
  setCandles(candles: readonly Candle[]): void {
    this.count = candles.length
    this.lastTime = candles.at(-1)?.time ?? -Infinity
    this.tallest = tallestVolume(candles)
    this.prices.setData(candles.map((candle) => this.toPrice(candle)))
    this.volumes.setData(candles.map((candle) => this.toVolume(candle)))
  }

  /** The price now and which way it goes; null while there is none. */
  showPrice(price: number | null, direction: 'up' | 'down'): void {
    if (price === null) {
      if (this.priceLine) this.prices.removePriceLine(this.priceLine)
      this.priceLine = null
      return
    }
    this.direction = direction
    const options = { price, color: this.palette[direction], lineStyle: LineStyle.Dotted, lineWidth: 1 } as const
    if (this.priceLine) this.priceLine.applyOptions(options)
    else this.priceLine = this.prices.createPriceLine(options)
  }

  /** Brings the newest candle back into view. */
  showNow(): void {
    this.chart.timeScale().scrollToRealTime()
  }

  draw(drawing: Drawing): void {
    switch (drawing.kind) {
      case 'nothing':
        return
      case 'last':
      case 'revised':
        this.update(drawing.candle, drawing.kind === 'revised')
        break
      case 'tail':
        this.prices.pop(drawing.remove)
        this.volumes.pop(drawing.remove)
        this.count -= drawing.remove
        this.lastTime = -Infinity
        for (const candle of drawing.tail) this.update(candle, false)
    }
  }

  /** Arrows; with the word where there is room for it. */
  setArrows(arrows: readonly Arrow[], worded: boolean): void {
    this.arrows = arrows
    this.worded = worded
    this.drawArrows()
  }

  /** Follows the view. */
  onView(listener: ViewListener): () => void {
    this.viewListeners.add(listener)
    return () => this.viewListeners.delete(listener)
  }

  /** Follows the pointer: the time of the candle under it, or null. */
  onPointer(listener: PointerListener): () => void {
    this.pointerListeners.add(listener)
    return () => this.pointerListeners.delete(listener)
  }

  private applyPalette(): void {
    const { palette } = this
    this.chart.applyOptions({
      layout: {
        background: { color: palette.background },
        textColor: palette.text,
        fontFamily: palette.font,
        fontSize: palette.fontSize,
      },
      grid: { vertLines: { color: palette.grid }, horzLines: { color: palette.grid } },
      crosshair: {
        vertLine: { color: palette.crosshair, labelBackgroundColor: palette.crosshairLabel },
        horzLine: { color: palette.crosshair, labelBackgroundColor: palette.crosshairLabel },
      },
    })
    // A rising candle is hollow, a falling one filled: told apart without colour.
    this.prices.applyOptions({
      upColor: palette.background,
      borderUpColor: palette.up,
      wickUpColor: palette.up,
      downColor: palette.down,
      borderDownColor: palette.down,
      wickDownColor: palette.down,
    })
    this.priceLine?.applyOptions({ color: palette[this.direction] })
    this.drawArrows()
  }

  private update(candle: Candle, historical: boolean): void {
    if (candle.time > this.lastTime) {
      this.count += 1
      this.lastTime = candle.time
    }
    this.prices.update(this.toPrice(candle), historical)
    this.volumes.update(this.toVolume(candle), historical)
  }

  private drawArrows(): void {
    const word = (text: string) => (this.worded ? { text } : {})
    const { up, down, text } = this.palette
    this.markers.setMarkers(
      this.arrows.map(({ time, action, muted }) =>
        action === 'buy'
          ? {
              time: toChartTime(time),
              position: 'belowBar',
              shape: 'arrowUp',
              color: muted ? text : up,
              ...word('Buy'),
            }
          : {
              time: toChartTime(time),
              position: 'aboveBar',
              shape: 'arrowDown',
              color: muted ? text : down,
              ...word('Sell'),
            },
      ),
    )
  }

  private toPrice({ time, open, high, low, close }: Candle) {
    return { time: toChartTime(time), open, high, low, close }
  }

  private toVolume({ time, open, close, volume }: Candle) {
    return {
      time: toChartTime(time),
      value: Math.min(volume, this.tallest),
      color: close >= open ? this.palette.upSoft : this.palette.downSoft,
    }
  }
}
