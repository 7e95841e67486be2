// Run by: node --test scripts/first-start/*.test.mjs
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const BUILD = fileURLToPath(new URL('build.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'first start '))
after(() => rmSync(folder, { recursive: true, force: true }))

const REGISTRY = 'registry+https://github.com/rust-lang/crates.io-index'
const artifact = (name, fresh = false) =>
  JSON.stringify({ reason: 'compiler-artifact', package_id: `${REGISTRY}#${name}@1.0.0`, target: { name, kind: ['lib'] }, fresh })
const diagnostic = (level, rendered) =>
  JSON.stringify({ reason: 'compiler-message', package_id: 'path+file:///x/api#0.1.0', message: { level, message: rendered, rendered } })
const bar = (done, of, running) => `    Building [===>     ] ${done}/${of}: ${running}            \\r`

let programs = 0
/** Writes a program in the place of cargo. */
function fakeCargo(script) {
  const file = join(folder, `cargo ${programs++}`)
  writeFileSync(file, `#!/usr/bin/env bash\nset -eu\nout() { printf '%s\\n' "$1"; }\nerr() { printf "$1" >&2; }\n${script}\n`)
  chmodSync(file, 0o755)
  return file
}

/** Starts build.mjs; `ended` gives `{code, stderr}`. */
function build(options, ...command) {
  const child = spawn(process.execPath, [BUILD, ...options, '--', ...command], { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
  const ended = once(child, 'close').then(([code]) => ({ code, stderr }))
  return { child, ended }
}

const stateFile = () => join(folder, `state ${programs++}.json`)
const stateOf = (file) => JSON.parse(readFileSync(file, 'utf8'))

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Asks again until `check` returns something. */
async function until(check) {
  for (;;) {
    const found = await Promise.resolve()
      .then(check)
      .catch(() => null)
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const setup = async (port) => (await fetch(`http://127.0.0.1:${port}/setup.json`)).json()

test('a build from the cache says nothing, ends with 0 and leaves the state done', async () => {
  const file = stateFile()
  const { code, stderr } = await build(['--state', file], fakeCargo(`out '${artifact('serde', true)}'; err '    Finished dev in 0.1s\\n'`)).ended
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  const { state, done, of, seconds_left, message, at } = stateOf(file)
  assert.deepEqual({ state, done, of, seconds_left, message }, { state: 'done', done: 0, of: 0, seconds_left: null, message: '' })
  assert.equal(new Date(at).toISOString(), at)
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('.json.')),
    [],
  )
})

test('cargo gets the message format before its own `--`, and a progress bar', async () => {
  const cargo = fakeCargo(`printf '%s|' "$@" "$CARGO_TERM_PROGRESS_WHEN" >"${folder}/arguments"`)
  await build([], cargo, 'build', '--bin', 'api', '--', 'x').ended
  assert.equal(readFileSync(`${folder}/arguments`, 'utf8'), 'build|--bin|api|--message-format=json-diagnostic-rendered-ansi|--|x|always|')
})

test('the state file and the terminal tell how far it is', async () => {
  const file = stateFile()
  const go = join(folder, 'go')
  const cargo = fakeCargo(
    `err '   Compiling serde v1.0.0\\n${bar(0, 3, 'serde')}'; out '${artifact('serde')}'; err '${bar(1, 3, 'syn(build.rs), syn, api(bin)')}'
     until [ -e "${go}" ]; do sleep 0.05; done; err '    Finished dev in 3s\\n'`,
  )
  const { child, ended } = build(['--state', file, '--title', 'compiling', '--note', 'wait for it'], cargo)
  let told = ''
  child.stderr.on('data', (text) => (told += text))
  await until(() => told.includes('compiled 1 of 3; wait for it\n'))
  const { state, done, of, seconds_left, message } = stateOf(file)
  assert.deepEqual({ state, done, of, seconds_left, message }, { state: 'building', done: 1, of: 3, seconds_left: null, message: 'syn, api' })
  writeFileSync(go, '')
  const { code, stderr } = await ended
  assert.equal(code, 0)
  assert.doesNotMatch(stderr, /Compiling|Building|Finished/)
  assert.match(stderr, /compiling: done in less than a minute\n$/)
  assert.equal(stateOf(file).done, 3)
})

test('errors reach the terminal whole, warnings do not, and the exit code is cargo’s', async () => {
  const file = stateFile()
  const cargo = fakeCargo(
    `out '${diagnostic('warning', 'warning: unused variable')}'
     out '${diagnostic('error', '\x1b[1merror[E0425]: cannot find value x\x1b[0m\n --> src/main.rs:1:1\n')}'
     err 'warning: \`api\` (bin "api") generated 1 warning\\nerror: could not compile \`api\` (bin "api") due to 1 previous error\\n'; exit 101`,
  )
  const { code, stderr } = await build(['--state', file, '--title', 'compiling'], cargo).ended
  assert.equal(code, 101)
  assert.match(stderr, /error\[E0425\]: cannot find value x\n --> src\/main.rs:1:1\n/)
  assert.match(stderr, /error: could not compile `api`/)
  assert.match(stderr, /error: compiling failed\.\n$/)
  assert.doesNotMatch(stderr, /unused variable|generated|\x1b/)
  assert.equal(stateOf(file).state, 'failed')
  assert.equal(stateOf(file).message, 'error[E0425]: cannot find value x')
})

test('known failures are told with their cure', async () => {
  const said = async (text) => (await build([], fakeCargo(`err '${text}\\n'; exit 101`)).ended).stderr
  assert.match(await said('error: could not write: No space left on device (os error 28)'), /free some space/)
  assert.match(await said('error: could not compile x\\n  process did not exit successfully (signal: 9, SIGKILL: kill)'), /CARGO_BUILD_JOBS=1/)
  assert.match(await said('error: failed to download from \`https://index.crates.io/config.json\`'), /check the network/)
  assert.match(await said('error: linker \`cc\` not found'), /install gcc/)
})

test('a missing cargo is told, with exit code 127', async () => {
  const { code, stderr } = await build(['--title', 'compiling'], join(folder, 'no-cargo'), 'build').ended
  assert.equal(code, 127)
  assert.match(stderr, /error: compiling failed: .*no-cargo is not installed/)
})

test('a signal ends cargo and its children first, then with 128 and its number', async () => {
  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ]) {
    const file = stateFile()
    const pids = join(folder, `pids ${signal}`)
    // A child of a shell in the background ignores SIGINT: `trap` in between gives it back.
    const cargo = fakeCargo(`${process.execPath} -e 'setInterval(() => {}, 1000)' & echo "$$ $!" >"${pids}"; wait`)
    const { child, ended } = build(['--state', file], cargo)
    const [shell] = await until(() => {
      const found = readFileSync(pids, 'utf8').trim().split(' ').map(Number)
      return found.length === 2 && found
    })
    child.kill(signal)
    assert.equal((await ended).code, expected)
    assert.throws(() => process.kill(shell, 0), { code: 'ESRCH' })
    assert.equal(stateOf(file).state, 'failed')
    assert.match(stateOf(file).message, /stopped/)
  }
})

test('a command beside cargo is shown as a step, and its failure ends cargo and is told', async () => {
  const go = join(folder, 'go on')
  const port = await freePort()
  const { ended } = build(
    ['--title', 'compiling', '--page', String(port), '--page-if-longer-than', '0', '--ready', 'checks', '--next', 'starting']
      .concat(['--beside', `the dashboard=until [ -e "${go}" ]; do sleep 0.05; done; echo "npm error code E=404"; exit 3`]),
    fakeCargo('sleep 600'),
  )
  const { steps } = await until(() => setup(port))
  assert.deepEqual(
    steps.map(({ name, state }) => `${name}: ${state}`),
    ['checks: ready', 'compiling: now', 'the dashboard: now', 'starting: next'],
  )
  writeFileSync(go, '')
  const failed = await until(async () => {
    const status = await setup(port)
    return status.state === 'failed' && status
  })
  assert.equal(failed.message, 'npm error code E=404')
  assert.deepEqual(failed.log, ['npm error code E=404'])
  assert.deepEqual(
    failed.steps.map((step) => step.state),
    ['ready', 'stopped', 'failed', 'next'],
  )
  const { code, stderr } = await ended
  assert.equal(code, 3)
  assert.match(stderr, /npm error code E=404\nerror: the dashboard failed\.\n$/)
})

test('the page is served on the loopback address and its port is free once the build has ended', async () => {
  const go = join(folder, 'go now')
  const port = await freePort()
  const { ended } = build(['--page', String(port), '--page-if-longer-than', '0'], fakeCargo(`until [ -e "${go}" ]; do sleep 0.05; done`))
  const page = await until(() => fetch(`http://127.0.0.1:${port}/`))
  assert.equal(page.headers.get('tandem-setup'), '1')
  assert.match(await page.text(), /<progress id="bar"/)
  assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 503)
  // fetch keeps its connections open.
  writeFileSync(go, '')
  const { code, stderr } = await ended
  assert.equal(code, 0)
  assert.match(stderr, new RegExp(`http://127\\.0\\.0\\.1:${port} tells how far it is`))
  const next = createServer().listen(port, '127.0.0.1')
  await once(next, 'listening')
  await new Promise((resolve) => next.close(resolve))
})

test('a taken port is told and the build goes on', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const port = String(other.address().port)
  const { code, stderr } = await build(['--page', port, '--page-if-longer-than', '0'], fakeCargo('sleep 0.5')).ended
  other.close()
  assert.equal(code, 0)
  assert.match(stderr, new RegExp(`port ${port} cannot be used \\(EADDRINUSE\\); the build goes on`))
})
