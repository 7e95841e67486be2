import assert from 'node:assert/strict'
import { test } from 'node:test'

import { crateName, finishedUnit, lineSplitter, parseLine } from './cargo-output.mjs'
import { costsOf } from './costs.mjs'
import { TimeLeft, timeWords } from './time-left.mjs'

test('lines end with line feeds and carriage returns, wherever the chunks are cut', () => {
  const lines = []
  const splitter = lineSplitter((line) => lines.push(line))
  for (const chunk of ['   Compil', 'ing a v1\n    Building [> ] 0/2: a\r    Bui', 'lding [=> ] 1/2: b\r', 'end']) splitter.push(chunk)
  splitter.end()
  assert.deepEqual(lines, ['   Compiling a v1', '    Building [> ] 0/2: a', '    Building [=> ] 1/2: b', 'end'])
})

test('the progress bar gives done, total and what is compiled, cut off or coloured', () => {
  assert.deepEqual(parseLine('    Building [=====>           ] 312/620: tract-core, api(bin), serde(build.rs)...    '), {
    bar: { done: 312, of: 620, running: ['tract-core', 'api(bin)'] },
  })
  assert.deepEqual(parseLine('\x1b[1m\x1b[36m    Building\x1b[0m [=>] 620/620'), { bar: { done: 620, of: 620, running: [] } })
})

test('status lines are no text, and what only looks like one is', () => {
  assert.deepEqual(parseLine('   Compiling serde v1.0.1'), { status: { verb: 'Compiling', rest: 'serde v1.0.1' } })
  assert.deepEqual(parseLine('    Blocking waiting for file lock on build directory').status.verb, 'Blocking')
  assert.deepEqual(parseLine('  Connection refused'), { text: '  Connection refused' })
  assert.deepEqual(parseLine('error: no'), { text: 'error: no' })
  assert.equal(parseLine('warning: `api` (lib) generated 2 warnings (run `cargo fix`)'), null)
  assert.equal(parseLine('   '), null)
})

test('finished units have the name that the progress bar gives them', () => {
  const id = 'registry+https://github.com/rust-lang/crates.io-index#tract-core@0.23.9'
  const unit = (kind, name) => finishedUnit({ reason: 'compiler-artifact', package_id: id, target: { kind: [kind], name }, fresh: true })?.name
  assert.equal(unit('lib', 'tract_core'), 'tract-core')
  assert.equal(unit('proc-macro', 'tract_core'), 'tract-core')
  assert.equal(unit('custom-build', 'build-script-build'), 'tract-core(build.rs)')
  assert.equal(unit('bin', 'api'), 'api(bin)')
  assert.equal(finishedUnit({ reason: 'build-script-executed', package_id: id }).name, 'tract-core(build)')
  assert.equal(finishedUnit({ reason: 'compiler-message' }), null)
  assert.equal(crateName('path+file:///home/a/crates/storage#0.1.0'), 'storage')
})

test('the costs of a timings page: long units by name, short ones together', () => {
  const units = [
    { name: 'polars-core', target: '', duration: 320.04 },
    { name: 'ring', target: ' build-script (run)', duration: 9.5 },
    { name: 'ring', target: ' build-script', duration: 1.2 },
    { name: 'api', target: ' api "bin"', duration: 12.25 },
    { name: 'syn', target: '', duration: 3 },
    { name: 'syn', target: '', duration: 4 },
    { name: 'memchr', target: '', duration: 0.5 },
    { name: 'cfg-if', target: '', duration: 0.1 },
  ]
  const html = `<script>\nDURATION = 9;\nconst UNIT_DATA = ${JSON.stringify(units, null, 2)};\nconst CONCURRENCY_DATA = [];\n</script>`
  const costs = costsOf(html)
  assert.deepEqual(Object.entries(costs.seconds), [
    ['polars-core', 320],
    ['api(bin)', 12.3],
    ['ring(build)', 9.5],
    ['syn', 4],
    ['ring(build.rs)', 1.2],
  ])
  assert.equal(costs.others, 0.3)
  assert.throws(() => costsOf('<html></html>'), /cargo build --timings/)
})

/** Replays one unit after the other on `jobs` workers of a machine that takes `slowness` times as long as the table says. */
function replay({ units, costs, jobs, slowness }) {
  const timeLeft = new TimeLeft(costs, jobs)
  const waiting = [...units]
  let running = []
  let done = 0
  const told = []
  for (let now = 0; done < units.length; now += 1) {
    for (const unit of running.filter((unit) => unit.end <= now)) timeLeft.finish({ name: unit.name, fresh: false }, now)
    done += running.filter((unit) => unit.end <= now).length
    running = running.filter((unit) => unit.end > now)
    while (running.length < jobs && waiting.length > 0) {
      const [name, cost] = waiting.shift()
      running.push({ name, end: now + cost * slowness })
    }
    const progress = { done, of: units.length, running: running.map((unit) => unit.name) }
    told.push({ now, left: timeLeft.update(progress, now) })
  }
  return told
}

const UNITS = [...Array(30)].map((_, index) => [`crate-${index}`, 2 + (index % 7)]).concat([['polars-core', 120], ['tract-core', 90]])
const COSTS = { others: 0.5, seconds: Object.fromEntries(UNITS) }

test('the time left is right within a third and 25 seconds on a machine as fast, twice as fast and a third as fast', () => {
  for (const slowness of [1, 0.5, 3]) {
    const told = replay({ units: UNITS, costs: COSTS, jobs: 2, slowness })
    const end = told.at(-1).now
    assert.equal(told[3].left, null)
    for (const { now, left } of told.filter(({ now }) => now > end / 4 && now < end - 5)) {
      assert.ok(Math.abs(left - (end - now)) < (end - now) / 3 + 25, `${slowness}: at ${now} ${left} of ${end - now}`)
    }
  }
})

test('what is fresh takes no time and tells nothing about the speed', () => {
  const fresh = new TimeLeft(COSTS, 2)
  for (const [name] of UNITS) if (name !== 'tract-core') fresh.finish({ name, fresh: true }, 0)
  fresh.update({ done: 31, of: 32, running: ['tract-core'] }, 0)
  const left = fresh.update({ done: 31, of: 32, running: ['tract-core'] }, 10)
  assert.ok(left > 70 && left <= 90, `${left}`)
})

test('units of the table that this build does not have are not waited for', () => {
  const other = new TimeLeft({ others: 0.5, seconds: { ...COSTS.seconds, 'burn-flex': 700, a: 700, b: 700, c: 700 } }, 2)
  other.update({ done: 0, of: 1, running: ['crate-0'] }, 0)
  assert.ok(other.update({ done: 0, of: 1, running: ['crate-0'] }, 6) < 200)
})

test('time is told in words that do not go to and fro', () => {
  assert.equal(timeWords(20), 'less than a minute')
  assert.equal(timeWords(60), 'about 1 minute')
  assert.equal(timeWords(7 * 60 + 20), 'about 7 minutes')
  assert.equal(timeWords(71 * 60), 'about 1 hour 10 minutes')
  assert.equal(timeWords(118 * 60), 'about 2 hours')
  const timeLeft = new TimeLeft(COSTS, 2)
  assert.equal(timeLeft.words(380), 'about 6 minutes')
  assert.equal(timeLeft.words(400), 'about 6 minutes')
  assert.equal(timeLeft.words(425), 'about 7 minutes')
})
