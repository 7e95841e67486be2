import {
  CandlestickSeries,
  createChart,
  createSeriesMarkers,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  LineStyle,
  TickMarkType,
  type Time,
  type UTCTimestamp,
} from 'lightweight-charts'

import { formatDate, formatDateTime, formatDay, formatMonth, formatPrice, formatTime, formatYear } from '@/lib/format'
import type { EpochMs } from '@/lib/wire'

import type { Candle, Drawing } from './candles'
import type { Interval } from './intervals'
import { type Palette, readPalette } from './palette'
import type { Signal } from './signals'

/** Candles in view when a ticker is opened: as many as there are, within bounds. */
const MOST_IN_VIEW = 130
const FEWEST_IN_VIEW = 50
/** Candles left of the view below which older ones are asked for. */
const OLDER_MARGIN = 60

type ViewListener = (firstIndex: number, nearOldest: boolean) => void
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
  private signals: readonly Signal[] = []
  private worded = true

  constructor(private readonly container: HTMLElement) {
    this.palette = readPalette(container)
    this.chart = createChart(container, {
      autoSize: true,
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.24 } },
      timeScale: { borderVisible: false, rightOffset: 4, minBarSpacing: 1, timeVisible: true },
      localization: { priceFormatter: formatPrice },
    })
    this.prices = this.chart.addSeries(CandlestickSeries, { borderVisible: true, priceLineStyle: LineStyle.Dotted })
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
      for (const listener of this.viewListeners)
        listener(Math.max(0, Math.floor(range.from)), range.from < OLDER_MARGIN)
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
    const count = Math.min(MOST_IN_VIEW, Math.max(FEWEST_IN_VIEW, candles.length + 3))
    const to = candles.length + 3
    this.chart.timeScale().setVisibleLogicalRange({ from: to - count, to })
  }

  /** The same candles with older ones before them: what is in view stays in view. */
  setCandles(candles: readonly Candle[]): void {
    this.prices.setData(candles.map((candle) => this.toPrice(candle)))
    this.volumes.setData(candles.map((candle) => this.toVolume(candle)))
    this.colourPriceLine(candles.at(-1))
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
        for (const candle of drawing.tail) this.update(candle, false)
    }
    if (drawing.kind !== 'revised') this.colourPriceLine(drawing.kind === 'tail' ? drawing.tail.at(-1) : drawing.candle)
  }

  /** Arrows; with the word where there is room for it. */
  setSignals(signals: readonly Signal[], worded: boolean): void {
    this.signals = signals
    this.worded = worded
    this.drawSignals()
  }

  /** Follows the view: the index of its first candle, and whether older ones should be got. */
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
        fontSize: 11,
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
    this.drawSignals()
  }

  private update(candle: Candle, historical: boolean): void {
    this.prices.update(this.toPrice(candle), historical)
    this.volumes.update(this.toVolume(candle), historical)
  }

  /** The line at the last price would otherwise take the hollow candle's colour, which is none. */
  private colourPriceLine(last: Candle | undefined): void {
    const priceLineColor = last && last.close < last.open ? this.palette.down : this.palette.up
    if (this.prices.options().priceLineColor !== priceLineColor) this.prices.applyOptions({ priceLineColor })
  }

  private drawSignals(): void {
    const word = (text: string) => (this.worded ? { text } : {})
    this.markers.setMarkers(
      this.signals.map(({ time, action }) =>
        action === 'buy'
          ? { time: toChartTime(time), position: 'belowBar', shape: 'arrowUp', color: this.palette.up, ...word('Buy') }
          : {
              time: toChartTime(time),
              position: 'aboveBar',
              shape: 'arrowDown',
              color: this.palette.down,
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
      value: volume,
      color: close >= open ? this.palette.upSoft : this.palette.downSoft,
    }
  }
}
