// Tells how long a build still takes, from what each unit of work cost before and how fast this machine is.

// So much recorded work weighs as much as what is measured here: the first small crates do not decide.
const PRIOR_WORK_S = 40
// A running unit is never taken for done, however long it runs.
const MOST_OF_A_UNIT = 0.9
const SILENT_S = 5
const SMOOTHING_S = 20

/**
 * Follows one build. `costs` is costs.mjs's table, `{others, seconds: {name: seconds}}`: a unit's name is the one in
 * cargo's progress bar, and `others` is what each unlisted one takes. All times are in seconds.
 */
export class TimeLeft {
  #costs
  #begin = null
  #open
  #started = new Map()
  #doneWork = 0
  #listedWork = PRIOR_WORK_S
  #listedTime = PRIOR_WORK_S
  #priorSpeed
  #steady = null
  #minutes = Infinity

  constructor(costs, cores) {
    this.#costs = costs
    this.#open = new Map(Object.entries(costs.seconds))
    // More cores than a few seldom have work at the same time.
    this.#priorSpeed = Math.min(cores, 6)
  }

  /** Notes that a unit is done; a fresh one was compiled in an earlier build and tells nothing about the speed. */
  finish({ name, fresh }, now) {
    const cost = this.#open.get(name)
    this.#open.delete(name)
    if (fresh) return
    this.#doneWork += cost ?? this.#costs.others
    if (cost !== undefined && this.#started.has(name)) {
      this.#listedWork += cost
      this.#listedTime += now - this.#started.get(name)
    }
  }

  /** Notes what cargo's progress bar shows and returns the seconds left, or null while nothing is known. */
  update({ done, of, running }, now) {
    this.#begin ??= { at: now, last: now }
    for (const name of running) if (!this.#started.has(name)) this.#started.set(name, now)

    const slowness = this.#listedTime / this.#listedWork
    let left = 0
    let longest = 0
    let begun = 0
    for (const [name, cost] of this.#open) {
      const started = this.#started.get(name)
      const progress = started === undefined ? 0 : Math.min((now - started) / slowness, cost * MOST_OF_A_UNIT)
      begun += progress
      left += cost - progress
      longest = Math.max(longest, cost - progress)
    }
    const units = of - done
    // The table may list units that this build does not have.
    if (this.#open.size > units) {
      const share = units / this.#open.size
      left *= share
      longest *= share
    } else left += (units - this.#open.size) * this.#costs.others

    const elapsed = now - this.#begin.at
    const perWork = (PRIOR_WORK_S / this.#priorSpeed + elapsed) / (PRIOR_WORK_S + this.#doneWork + begun)
    const estimate = units === 0 ? 0 : Math.max(left * perWork, longest * slowness)

    const step = now - this.#begin.last
    this.#begin.last = now
    if (elapsed < SILENT_S) return null
    const expected = this.#steady === null ? estimate : this.#steady - step
    this.#steady = Math.max(0, expected + (estimate - expected) * Math.min(1, step / SMOOTHING_S))
    return Math.round(this.#steady)
  }

  /** Returns the words for `seconds`, which do not go up again for less than a minute. */
  words(seconds) {
    const minutes = seconds / 60
    if (Math.round(minutes) <= this.#minutes || minutes >= this.#minutes + 1) this.#minutes = Math.round(minutes)
    return timeWords(this.#minutes * 60)
  }
}

/** Returns "less than a minute", "about 7 minutes" or "about 1 hour 10 minutes". */
export function timeWords(seconds) {
  const minutes = Math.round(seconds / 60)
  if (minutes < 1) return 'less than a minute'
  if (minutes < 60) return `about ${count(minutes, 'minute')}`
  const tens = Math.round(minutes / 10) * 10
  const rest = tens % 60
  return `about ${count(Math.floor(tens / 60), 'hour')}${rest === 0 ? '' : ` ${rest} minutes`}`
}

const count = (number, unit) => `${number} ${unit}${number === 1 ? '' : 's'}`
