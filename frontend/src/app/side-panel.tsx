import { type ReactNode, useEffect, useState } from 'react'

import styles from './dashboard.module.css'

const TITLES = { news: 'News', recent: 'Recent signals' }
const SIDES = ['news', 'recent'] as const
type Side = (typeof SIDES)[number]

type Card = (title: ReactNode) => ReactNode

/** The news and the signals of late: beside each other where there is room, else one at a time. */
export function SidePanel(cards: Record<Side, Card>) {
  const [chosen, setChosen] = useState<Side | null>(null)
  // The button that had the focus is gone with its card.
  useEffect(() => {
    if (chosen) document.getElementById(titleId(chosen))?.focus()
  }, [chosen])
  return SIDES.map((side) => (
    <div key={side} className={styles.side} data-side={side} data-shown={side === (chosen ?? 'news')}>
      {cards[side](<SideTitle of={side} onChoose={setChosen} />)}
    </div>
  ))
}

function titleId(side: Side): string {
  return `${side}-title`
}

/** A card's heading beside the name of the other card, which shows it where only one has room. */
function SideTitle({ of, onChoose }: { of: Side; onChoose: (side: Side) => void }) {
  return (
    <div className={styles.sideTitle}>
      {SIDES.map((side) =>
        side === of ? (
          <h2 key={side} id={titleId(side)} tabIndex={-1}>
            {TITLES[side]}
          </h2>
        ) : (
          <button
            key={side}
            type="button"
            onClick={() => {
              onChoose(side)
            }}
          >
            {TITLES[side]}
          </button>
        ),
      )}
    </div>
  )
}
