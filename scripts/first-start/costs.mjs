// Writes the table that the time left is told from, of a build that was measured with `cargo build --timings`:
//   node scripts/first-start/costs.mjs target/cargo-timings/cargo-timing.html > scripts/first-start/costs.json
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

// Shorter units are counted alike.
const LISTED_FROM_S = 1

/** Returns `{others, seconds: {name: seconds}}` of a timings page, the most expensive unit first. */
export function costsOf(html) {
  const data = /const UNIT_DATA = (\[[\s\S]*?\n?\]);\s*\n/.exec(html)
  if (!data) throw new Error('this is not a page of `cargo build --timings`: it has no UNIT_DATA')
  const longest = new Map()
  let otherUnits = 0
  let otherSeconds = 0
  for (const unit of JSON.parse(data[1])) {
    if (unit.duration < LISTED_FROM_S) {
      otherUnits += 1
      otherSeconds += unit.duration
    } else {
      const name = unitName(unit)
      longest.set(name, Math.max(longest.get(name) ?? 0, unit.duration))
    }
  }
  const listed = [...longest].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
  const others = otherUnits === 0 ? LISTED_FROM_S / 2 : otherSeconds / otherUnits
  return {
    others: Math.round(others * 100) / 100,
    seconds: Object.fromEntries(listed.map(([name, seconds]) => [name, Math.round(seconds * 10) / 10])),
  }
}

/** Returns a unit's name as cargo's progress bar has it, from its ` build-script`, ` build-script (run)` or ` api "bin"`. */
function unitName({ name, target }) {
  if (target.startsWith(' build-script')) return target.includes('(run)') ? `${name}(build)` : `${name}(build.rs)`
  const [, of, kind] = /^ (\S+) "(bin|example)"/.exec(target) ?? []
  return kind ? `${of}(${kind})` : name
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const file = process.argv[2]
  if (!file) {
    process.stderr.write('usage: costs.mjs TIMINGS.html > costs.json\n')
    process.exit(2)
  }
  process.stdout.write(`${JSON.stringify(costsOf(readFileSync(file, 'utf8')), null, 2)}\n`)
}
