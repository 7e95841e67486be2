import { useRef } from 'react'

import { formatBps, formatDate, formatMilliseconds, formatShare } from '@/lib/format'
import type { Decision, ModelDecision, Opinion, Standing, Timing, Verdict } from '@/lib/wire'

import styles from './analysis.module.css'
import { CLASS_NAME, CLASSES } from './classes'

const BLOCKED: Partial<Record<string, string>> = {
  uncalibrated: 'A model has no calibration, so it cannot rule anything out.',
  no_lean: 'Not both models hold a direction for likelier than usual.',
  models_disagree: 'The models lean to opposite directions.',
  opposite_possible: 'The opposite direction cannot be ruled out by both models.',
  cost: 'What is expected does not surely pay for buying and selling again.',
}

interface Props {
  verdict: Verdict
  /** Null for one from history. */
  timing: Timing | null
  disclaimer: string
}

/** A button, and behind it all that the decision went by. */
export function DecisionSheet({ verdict, timing, disclaimer }: Props) {
  const ref = useRef<HTMLDialogElement>(null)
  const { decision, standing, reason } = verdict.recommendation
  return (
    <>
      <button type="button" className={styles.link} aria-haspopup="dialog" onClick={() => ref.current?.showModal()}>
        How it was decided
      </button>
      <dialog ref={ref} className={styles.sheet} aria-labelledby="decision-title" data-testid="decision">
        <form method="dialog" className={styles.titleRow}>
          <h2 id="decision-title">How it was decided</h2>
          <button type="submit" className="button">
            Close
          </button>
        </form>
        <p>{reason}</p>
        {decision === null ? (
          <p className={styles.empty}>It was stored by an earlier version, which kept no more than this.</p>
        ) : (
          <DecisionFacts decision={decision} lstm={verdict.lstm} transformer={verdict.transformer} />
        )}
        {standing !== null && standing.bets > 0 && <StandingFacts standing={standing} />}
        {timing && (
          <p className={styles.minor}>
            It took {formatMilliseconds(timing.total_ms)} from the bar: reading {formatMilliseconds(timing.wake_ms)},
            features {formatMilliseconds(timing.features_ms)}, models {formatMilliseconds(timing.inference_ms)}.
          </p>
        )}
        <p className={styles.minor}>{disclaimer}</p>
      </dialog>
    </>
  )
}

function DecisionFacts({ decision, lstm, transformer }: { decision: Decision; lstm: Opinion; transformer: Opinion }) {
  const { models, blocked_by, expected_bps, expected_bps_lower, cost_bps, horizon_minutes } = decision
  const both = (say: (model: ModelDecision) => string) => [say(models.lstm), say(models.transformer)] as const
  const rows: [string, readonly [string, string]][] = [
    ['Leans to', both(({ lean }) => (lean === null ? 'neither direction' : CLASS_NAME[lean]))],
    ['Cannot rule out', both(({ possible }) => describePossible(possible))],
    ['Sure in', both(({ coverage }) => (coverage === null ? '–' : `${formatShare(coverage)} of cases`))],
    ['Usually gives', both(({ base_rate }) => describeRates(base_rate))],
    ['Expected move', both(({ expected_bps: bps }) => formatBps(bps))],
    ['Model', [lstm.model_id, transformer.model_id]],
  ]
  return (
    <>
      {blocked_by !== null && <p>{BLOCKED[blocked_by] ?? `What stood in the way: ${blocked_by}.`}</p>}
      <table className={styles.decision}>
        <thead>
          <tr>
            <td />
            <th scope="col">LSTM</th>
            <th scope="col">Transformer</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, [left, right]]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{left}</td>
              <td>{right}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p>
        The models look {horizon_minutes} minutes of trading ahead. Buying and selling again costs {cost_bps.toFixed(1)}{' '}
        bp.
        {expected_bps !== null &&
          ` After that ${formatBps(expected_bps)} are expected${expected_bps_lower === null ? '' : `, ${formatBps(expected_bps_lower)} at the lower bound`}.`}
      </p>
    </>
  )
}

function describePossible(possible: ModelDecision['possible']): string {
  if (possible === null) return 'anything: not calibrated'
  const named = CLASSES.filter((name) => possible.includes(name)).map((name) => CLASS_NAME[name])
  return named.length === 0 ? 'nothing it knows' : named.join(', ')
}

/** What it gives a window that tells it nothing. */
function describeRates(rates: ModelDecision['base_rate']): string {
  if (rates === null) return '–'
  return CLASSES.map((name) => `${CLASS_NAME[name]} ${formatShare(rates[name])}`).join(', ')
}

function StandingFacts({ standing }: { standing: Standing }) {
  const { bets, days, hit_rate, mean_net_bps, lower_bps, upper_bps, since } = standing
  return (
    <p>
      The rule has made {bets.toLocaleString('en-US')} bets on {days} days
      {since !== null && ` since ${formatDate(since)}`}, overlapping ones counted once.
      {hit_rate !== null && ` ${formatShare(hit_rate)} reached the called side first.`}
      {mean_net_bps !== null && ` After costs each brought ${formatBps(mean_net_bps)}`}
      {mean_net_bps !== null &&
        (lower_bps !== null && upper_bps !== null
          ? ` (confidence interval over days: ${formatBps(lower_bps)} to ${formatBps(upper_bps)}).`
          : '.')}
    </p>
  )
}
