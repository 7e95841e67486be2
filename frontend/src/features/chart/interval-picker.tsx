import { type Interval, INTERVAL_NAME, INTERVALS } from './intervals'
import styles from './interval-picker.module.css'

/** Chooses the chart's interval; the digit keys 1 to 5 do the same. */
export function IntervalPicker({ value, onChange }: { value: Interval; onChange: (interval: Interval) => void }) {
  return (
    <div className={styles.picker} role="group" aria-label="Chart interval">
      {INTERVALS.map((interval, index) => (
        <button
          key={interval}
          type="button"
          aria-pressed={interval === value}
          aria-label={`${interval}, ${INTERVAL_NAME[interval]}`}
          aria-keyshortcuts={String(index + 1)}
          title={`${INTERVAL_NAME[interval]} (key ${index + 1})`}
          onClick={() => {
            onChange(interval)
          }}
        >
          {interval}
        </button>
      ))}
    </div>
  )
}
