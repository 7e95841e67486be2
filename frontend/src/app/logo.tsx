/** Two wheels that overlap: where both models agree. */
export function Logo() {
  return (
    <svg viewBox="0 0 34 20" width="34" height="20" aria-hidden="true" fill="none" strokeWidth="2.2">
      <circle cx="11" cy="10" r="8" stroke="var(--lstm)" />
      <circle cx="23" cy="10" r="8" stroke="var(--transformer)" />
      <path d="M17 4.7a8 8 0 0 1 0 10.6a8 8 0 0 1 0-10.6z" fill="var(--text)" stroke="none" />
    </svg>
  )
}
