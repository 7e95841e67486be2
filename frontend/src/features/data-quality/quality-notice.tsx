import { StaleNote } from '@/lib/stale-note'

import { type Quality, useQuality } from './data-quality'
import styles from './quality-notice.module.css'
import { describeFinding, describeGap, describeTries, summarise } from './words'

/** Says in a line what is missing or doubtful in a stock's prices, and on demand all of it; nothing when all is well. */
export function QualityNotice({ ticker, snapshots }: { ticker: string; snapshots: number }) {
  const quality = useQuality(ticker, snapshots)
  const { value, failure } = quality
  if (value === null) {
    return failure === null ? null : (
      <p className={styles.unknown} role="status" data-testid="quality">
        Whether prices of {ticker} are missing is not known. {failure}
      </p>
    )
  }
  return (
    <>
      <Doubts key={ticker} quality={value} />
      <StaleNote polled={quality} what="What is missing" />
    </>
  )
}

function Doubts({ quality: value }: { quality: Quality }) {
  const summary = summarise(value)
  if (summary === null) return null
  const sentences = [
    ...value.gaps.map((gap) => describeGap(gap) + describeTries(gap)),
    ...value.findings.map(describeFinding),
  ]
  const unlisted = value.openGaps + value.totalFindings - sentences.length
  return (
    <details className={styles.notice} data-testid="quality">
      <summary>
        <span className={styles.summary}>{summary}</span> <span className={styles.more}>Details</span>
      </summary>
      <ul>
        {sentences.map((sentence, index) => (
          <li key={index}>{sentence}</li>
        ))}
        {unlisted > 0 && <li>{unlisted.toLocaleString('en-US')} more: /data-quality of the api has all.</li>}
      </ul>
    </details>
  )
}
