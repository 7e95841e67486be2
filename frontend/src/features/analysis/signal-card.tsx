import { DIRECTION_GLYPH, formatBps, formatMoment, formatTime } from '@/lib/format'
import { type Market, marketNow } from '@/lib/market-clock'
import { describeValidity, isMuted, KIND_LABEL, signalOf } from '@/lib/signal'
import type { StockFeed } from '@/lib/stream'
import { useClock } from '@/lib/use-now'
import { useStalePrice } from '@/lib/use-stale-price'
import { useValidity } from '@/lib/use-validity'
import type { Analysis, Standing, Verdict } from '@/lib/wire'

import styles from './analysis.module.css'
import { DecisionSheet } from './decision-sheet'

interface Props {
  feed: StockFeed
  ticker: string | null
  /** Null until it is known. */
  market: Market | null
  /** The newest one; null without any. */
  verdict: Verdict | null
  /** The same with where the time went; null for one from history. */
  analysis: Analysis | null
  /** There may be one that has not come yet. */
  loading: boolean
  /** How the system is, for the time without any; null while that is not known. */
  state: string | null
  disclaimer: string
}

/** What is recommended now, why, until when, and how its like have fared. All words are the decision's. */
export function SignalCard(props: Props) {
  const { verdict, loading, state } = props
  return (
    <section className="card" aria-labelledby="signal-title" data-testid="signal-card">
      {verdict ? (
        <Verdicted {...props} verdict={verdict} />
      ) : (
        <>
          <h2 id="signal-title">Signal</h2>
          <p className={styles.empty} role="status">
            {loading ? 'Loading…' : state === null ? 'None yet.' : `None yet. ${state}.`}
          </p>
        </>
      )}
    </section>
  )
}

function Verdicted({ feed, ticker, market, verdict, analysis, disclaimer }: Props & { verdict: Verdict }) {
  const { recommendation, as_of, bar_time, late } = verdict
  const { decision, reason, standing } = recommendation
  const signal = signalOf(recommendation)
  const atMarket = (now: number) => market && marketNow(market.clock, now)
  const validity = useValidity(verdict, market)
  const valid = useClock(1_000, (now) => describeValidity(decision, validity, atMarket(now) ?? as_of), '')
  const made = useClock(1_000, (now) => formatMoment(as_of, atMarket(now)), '')
  const stale = useStalePrice(feed, ticker, market)
  const acts = signal.kind === 'buy' || signal.kind === 'sell'
  const muted = stale !== null || isMuted(signal, validity)
  const expected = signal.kind === 'quiet' ? null : (decision?.expected_bps ?? null)
  return (
    <>
      <div className={styles.titleRow}>
        <h2 id="signal-title">Signal</h2>
        <DecisionSheet verdict={verdict} timing={analysis?.timing ?? null} disclaimer={disclaimer} />
      </div>
      <p
        className={styles.headline}
        data-kind={signal.kind}
        data-standing={signal.standing}
        data-muted={muted}
        data-testid="signal"
      >
        <strong>
          {signal.direction !== 'flat' && <span aria-hidden="true">{DIRECTION_GLYPH[signal.direction]} </span>}
          {KIND_LABEL[signal.kind]}
        </strong>
        {expected !== null && (
          <span className={styles.expected}>
            {formatBps(expected)} <small>expected after costs</small>
          </span>
        )}
      </p>
      {decision && <p className={styles.lead}>{decision.headline}.</p>}
      <p className={styles.reason}>{reason}</p>
      {/* Of a rule that loses the reason tells it already. */}
      {standing && !reason.includes(standing.sentence) && <Record standing={standing} />}
      <dl className={styles.facts}>
        {signal.kind !== 'quiet' && (
          <>
            <dt>Valid</dt>
            <dd data-testid="expiry" data-validity={validity}>
              {valid}
            </dd>
          </>
        )}
        <dt>Made</dt>
        <dd>
          {made}{' '}
          <span className={styles.minor}>
            on the bar of {formatTime(bar_time)}
            {late && ', analysed late: nobody could have acted on it'}
          </span>
        </dd>
        {stale !== null && (
          <>
            <dt>Price</dt>
            <dd className={styles.warning} data-testid="stale-price">
              {stale}: not to go by
            </dd>
          </>
        )}
      </dl>
      {acts && <p className={styles.advice}>Not investment advice.</p>}
    </>
  )
}

const STANDING_LABEL: Record<Standing['state'], string> = {
  proven: 'Proven so far.',
  unproven: 'Not proven yet.',
  losing: 'Losing so far, so no recommendation.',
}

/** How signals of this kind have fared. */
function Record({ standing: { state, sentence } }: { standing: Standing }) {
  return (
    <p className={styles.record} data-standing={state} data-testid="record">
      <strong>{STANDING_LABEL[state]}</strong> {sentence}
    </p>
  )
}
