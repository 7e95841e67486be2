// Runs `cargo build` and tells how far it is: one line in the terminal, a small JSON file and a page in the browser.
//
//   node scripts/first-start/build.mjs [OPTIONS] -- cargo build --workspace --locked --bin api ...
//
//   --title TEXT        what is built, as the step's name ("compiling the first part")
//   --note TEXT         ends the line in the terminal ("the page opens by itself")
//   --costs FILE        costs.mjs's table, for the time left; without it none is told
//   --state FILE        kept at {"state": "building" | "done" | "failed", "done", "of", "seconds_left", "message", "at"}
//   --page PORT         serves the page on http://127.0.0.1:PORT until the build has ended
//   --page-if-longer-than SECONDS   only then (2)
//   --ready TEXT        a step that the page shows as done before; may be repeated, as may the next two
//   --next TEXT         a step that comes when this has ended
//   --beside NAME=COMMAND   a step that bash runs at the same time; its output is shown only if it fails
//   --afterwards TEXT   a sentence below the steps
//
// Ends with cargo's exit code, or a command's beside it; after SIGINT, SIGTERM or SIGHUP with 128 and the signal's number.
import { spawn } from 'node:child_process'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, constants } from 'node:os'
import { parseArgs } from 'node:util'

import { compilerError, finishedUnit, lineSplitter, parseLine, plain } from './cargo-output.mjs'
import { servePage } from './page.mjs'
import { TimeLeft, timeWords } from './time-left.mjs'

const QUIET_S = 2
const PRINT_EVERY_S = 15
const KILL_AFTER_MS = 10_000
const PIPES_CLOSE_MS = 1_000
// Every open page asks once a second.
const LAST_STATUS_MS = 1_500
const LOG_LINES = 40

// What an error of cargo, the compiler or npm says, and what helps.
const CURES = [
  [
    /signal: 9|SIGKILL|Cannot allocate memory|out of memory/i,
    'The machine ran out of memory: close other programs, or compile less at a time with CARGO_BUILD_JOBS=1.',
  ],
  [/No space left on device|ENOSPC/, 'The disk is full: free some space.'],
  [
    /failed to download|failed to get `|Could(n't| not) (resolve|connect)|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|Network is unreachable|spurious network error/i,
    'The package registry was not reached: check the network and the proxy.',
  ],
  [/linker `\S+` not found|failed to find tool/, 'A compiler for C is missing: install gcc (Debian: apt-get install gcc libc6-dev make).'],
  [/Permission denied|EACCES|Read-only file system|EROFS/, 'A folder cannot be written to: check who owns it.'],
  [/lock file .* needs to be updated|cannot update the lock file/, 'Cargo.lock does not fit the Cargo.toml files: restore both from git.'],
]

async function main() {
  const { values: options, positionals: command } = parseArgs({
    allowPositionals: true,
    options: {
      title: { type: 'string', default: 'compiling' },
      note: { type: 'string', default: '' },
      costs: { type: 'string' },
      state: { type: 'string' },
      page: { type: 'string' },
      'page-if-longer-than': { type: 'string', default: String(QUIET_S) },
      ready: { type: 'string', multiple: true, default: [] },
      next: { type: 'string', multiple: true, default: [] },
      beside: { type: 'string', multiple: true, default: [] },
      afterwards: { type: 'string', default: '' },
    },
  })
  if (command.length === 0) throw new Error('no command: build.mjs [OPTIONS] -- cargo build ...')

  const begin = performance.now()
  const now = () => (performance.now() - begin) / 1000
  const costs = options.costs && JSON.parse(readFileSync(options.costs, 'utf8'))
  const timeLeft = costs && new TimeLeft(costs, availableParallelism())
  const terminal = new Terminal()
  const build = { state: 'building', done: 0, of: 0, secondsLeft: null, message: 'starting', log: [] }

  writeState(options.state, state())

  const cargo = startCargo(command)
  const beside = options.beside.map((step) => {
    const [name, ...rest] = step.split('=')
    return startQuietly(name, rest.join('='))
  })
  const tasks = [cargo, ...beside]

  function startCargo([program, ...args]) {
    const separator = args.indexOf('--')
    args.splice(separator < 0 ? args.length : separator, 0, '--message-format=json-diagnostic-rendered-ansi')
    const task = start(options.title, program, args, {
      CARGO_TERM_COLOR: 'never',
      CARGO_TERM_QUIET: 'false',
      CARGO_TERM_VERBOSE: 'false',
      CARGO_TERM_PROGRESS_WHEN: 'always',
      CARGO_TERM_PROGRESS_WIDTH: '300',
      CARGO_TERM_PROGRESS_TERM_INTEGRATION: 'false',
    })
    read(task.process.stderr, (line) => {
      const parsed = parseLine(line)
      if (parsed?.bar) onBar(parsed.bar)
      else if (parsed?.status) onStatus(parsed.status)
      else if (parsed) show(parsed.text)
    })
    read(task.process.stdout, (line) => {
      const message = parseMessage(line)
      if (message === null) return
      const unit = finishedUnit(message)
      if (unit) timeLeft?.finish(unit, now())
      const error = compilerError(message)
      if (error) show(terminal.colours ? error : plain(error))
    })
    return task
  }

  function onBar({ done, of, running }) {
    const crates = [...new Set(running.map((name) => name.replace(/\(.*/, '')))]
    Object.assign(build, { done, of, message: crates.slice(0, 3).join(', ') || build.message })
    build.secondsLeft = timeLeft?.update({ done, of, running }, now()) ?? null
  }

  function onStatus({ verb, rest }) {
    if (verb === 'Blocking') build.message = 'waiting for another cargo that builds in the same folder'
    if (verb === 'Updating' || verb.startsWith('Download')) build.message = `downloading ${rest.replace(/^crates \.\.\.$/, 'crates')}`
  }

  // Errors go to the terminal as they come, and their last lines to the page.
  function show(text) {
    terminal.print(text)
    build.log.push(...plain(text).trimEnd().split('\n'))
    build.log.splice(0, build.log.length - LOG_LINES)
    build.error ??= plain(text)
      .split('\n')
      .find((line) => /^(npm )?(error|fatal)\b/i.test(line.trim()))
      ?.trim()
  }

  /** Starts a command that is heard of only when it fails. */
  function startQuietly(name, command) {
    const task = start(name, 'bash', ['-c', command], {})
    task.lines = []
    for (const stream of [task.process.stdout, task.process.stderr])
      read(stream, (line) => {
        task.lines.push(line)
        task.lines.splice(0, task.lines.length - LOG_LINES)
      })
    return task
  }

  // Ends what still runs, by force where it takes too long.
  let signal = null
  function stop(name) {
    for (const task of tasks) if (task.code === null) killGroup(task.process, name)
    setTimeout(() => {
      for (const task of tasks) if (task.code === null) killGroup(task.process, 'SIGKILL')
    }, KILL_AFTER_MS).unref()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(name, () => {
      signal ??= name
      stop(name)
    })

  const left = () => (build.secondsLeft === null ? '' : `${timeLeft.words(build.secondsLeft)} left`)

  function line() {
    if (cargo.code === null && build.of > 0) {
      return [`compiled ${build.done} of ${build.of}`, left()].filter((part) => part !== '').join(', ')
    }
    if (cargo.code === null) return `${options.title}: ${build.message}`
    return tasks
      .filter((task) => task.code === null)
      .map((task) => task.name)
      .join(', ')
  }

  function stepState(task) {
    if (task.code === 0) return 'ready'
    if (build.state !== 'failed') return 'now'
    return task === build.failed ? 'failed' : 'stopped'
  }
  function state() {
    return {
      state: build.state,
      done: build.done,
      of: build.of,
      seconds_left: build.state === 'building' ? build.secondsLeft : null,
      message: build.message,
      at: new Date().toISOString(),
    }
  }
  // A full disk is cargo's to tell.
  function keepState() {
    try {
      writeState(options.state, state())
    } catch (error) {
      terminal.printOnce(`${options.state} cannot be written: ${error.message}`)
    }
  }
  const status = () => ({
    ...state(),
    left: left(),
    steps: [
      ...options.ready.map((name) => ({ name, state: 'ready' })),
      ...tasks.map((task) => ({ name: task.name, state: stepState(task) })),
      ...options.next.map((name) => ({ name, state: 'next' })),
    ],
    afterwards: options.afterwards,
    cure: build.cure ?? '',
    log: build.state === 'failed' ? build.log : [],
  })

  let page = null
  const openPage = async () => {
    try {
      page = await servePage(Number(options.page), status)
      terminal.print(`${options.title}: ${page.address} tells how far it is`)
    } catch (error) {
      terminal.print(`no page tells how far it is: port ${options.page} cannot be used (${error.code ?? error.message}); the build goes on`)
    }
  }
  const pageTimer = options.page && setTimeout(openPage, Number(options['page-if-longer-than']) * 1000)

  const tick = () => {
    keepState()
    if (now() >= QUIET_S) terminal.progress(options.note ? `${line()}; ${options.note}` : line())
  }
  tick()
  const ticker = setInterval(tick, 1000)

  // The first failure ends the others: what is compiled by then is kept.
  await Promise.all(
    tasks.map(async (task) => {
      task.code = await task.ended
      if (task === cargo) Object.assign(build, { secondsLeft: null, message: line() })
      if (task.code !== 0 && signal === null && !build.failed) {
        build.failed = task
        stop('SIGTERM')
      }
    }),
  )

  clearInterval(ticker)
  clearTimeout(pageTimer)
  terminal.clear()
  let code = 0
  if (signal !== null) {
    code = 128 + constants.signals[signal]
    Object.assign(build, { state: 'failed', message: 'stopped; the same command goes on where this one ended' })
  } else if (build.failed) {
    build.state = 'failed'
    code = build.failed.code
    if (build.failed.lines) show(build.failed.lines.join('\n'))
    build.message = build.failed.reason ?? build.error ?? `${build.failed.name}: ended with exit code ${code}`
    const told = build.log.join('\n')
    build.cure = CURES.find(([pattern]) => pattern.test(told))?.[1] ?? ''
    terminal.print(`error: ${build.failed.name} failed${build.failed.reason ? `: ${build.failed.reason}` : ''}. ${build.cure}`.trim())
  } else {
    Object.assign(build, { state: 'done', done: build.of, message: '' })
    if (terminal.spoke) terminal.print(`${options.title}: done in ${timeWords(now())}`)
  }
  keepState()
  await page?.close(build.state === 'failed' ? LAST_STATUS_MS : 0)
  return code
}

/** Starts a program in a process group of its own, so that a signal reaches its children as well. */
function start(name, program, args, environment) {
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } })
  const task = { name, process: child, code: null, reason: null }
  task.ended = new Promise((resolve) => {
    child.on('error', (error) => {
      task.reason = error.code === 'ENOENT' ? `${program} is not installed` : `${program} cannot be started: ${error.message}`
      resolve(127)
    })
    const end = (code, signal) => resolve(code ?? 128 + constants.signals[signal])
    child.on('close', end)
    // A daemon that a compiler wrapper leaves behind may keep the pipes open.
    child.on('exit', (code, signal) => setTimeout(end, PIPES_CLOSE_MS, code, signal))
  })
  return task
}

function killGroup(child, signal) {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

function read(stream, onLine) {
  const splitter = lineSplitter(onLine)
  stream.setEncoding('utf8')
  stream.on('data', (text) => splitter.push(text))
  stream.on('end', () => splitter.end())
}

function parseMessage(line) {
  try {
    return line.startsWith('{') ? JSON.parse(line) : null
  } catch {
    // A build script's or wrapper's own output.
    return null
  }
}

/** Replaces the state file, so that a reader never sees half of it. */
function writeState(file, state) {
  if (!file) return
  const next = `${file}.${process.pid}`
  try {
    writeFileSync(next, `${JSON.stringify(state)}\n`)
    renameSync(next, file)
  } catch (error) {
    rmSync(next, { force: true })
    throw error
  }
}

/** The terminal: one progress line that is rewritten in place, or printed now and then where it cannot be. */
class Terminal {
  colours = process.stderr.isTTY === true && !process.env.NO_COLOR
  spoke = false
  #inPlace = process.stderr.isTTY === true && process.env.TERM !== 'dumb'
  #shown = ''
  #printedAt = -Infinity
  #told = new Set()

  constructor() {
    // A closed terminal ends the build by SIGHUP, not by a failed write.
    process.stderr.on('error', () => {})
  }

  progress(text) {
    this.spoke = true
    if (this.#inPlace) {
      this.clear()
      this.#shown = text.slice(0, Math.max(20, (process.stderr.columns ?? 80) - 1))
      process.stderr.write(this.#shown)
    } else if (text !== this.#shown && performance.now() - this.#printedAt >= PRINT_EVERY_S * 1000) {
      this.#shown = text
      this.#printedAt = performance.now()
      process.stderr.write(`${text}\n`)
    }
  }

  print(text) {
    const shown = this.#inPlace ? this.#shown : ''
    this.clear()
    process.stderr.write(text.endsWith('\n') ? text : `${text}\n`)
    if (shown) this.progress(shown)
  }

  printOnce(text) {
    if (!this.#told.has(text)) this.print(text)
    this.#told.add(text)
  }

  clear() {
    if (!this.#inPlace || this.#shown === '') return
    process.stderr.write('\r\x1b[2K')
    this.#shown = ''
  }
}

try {
  process.exit(await main())
} catch (error) {
  process.stderr.write(`error: ${error.message}\n`)
  process.exit(2)
}
