// Reads what cargo prints: its progress bar and status lines on stderr, its JSON messages on stdout.

// Only these are status lines: anything else in the same column may belong to an error that a build script reports.
const STATUS =
  /^ *(Adding|Blocking|Building|Checking|Compiling|Dirty|Downgrading|Downloaded|Downloading|Fetch|Finished|Fresh|Locking|Removing|Unpacking|Updating|Upgrading)\b ?(.*)$/
const BAR = /^\[[^\]]*\] (\d+)\/(\d+)(?:: (.*))?$/
const CODES = /\x1b\[[0-9;?]*[A-Za-z]/g
const WARNING_COUNT = /^warning: .* generated \d+ warnings?/

/** Returns whole lines of a stream that ends them with line feeds or, as progress bars do, with carriage returns. */
export function lineSplitter(onLine) {
  let rest = ''
  return {
    push(text) {
      const lines = (rest + text).split(/[\r\n]/)
      rest = lines.pop()
      for (const line of lines) onLine(line)
    },
    end() {
      if (rest !== '') onLine(rest)
      rest = ''
    },
  }
}

/** Removes colours and other terminal codes. */
export const plain = (text) => text.replace(CODES, '')

/**
 * Parses one line of cargo's stderr: `{bar: {done, of, running}}`, `{status: {verb, rest}}`, `{text}` for what the reader
 * of the terminal needs to see, or null for what nobody needs.
 */
export function parseLine(line) {
  const text = plain(line).trimEnd()
  const status = STATUS.exec(text)
  if (status) {
    const bar = BAR.exec(status[2])
    if (!bar) return { status: { verb: status[1], rest: status[2] } }
    const running = (bar[3] ?? '').split(', ').filter((name) => name !== '' && !name.endsWith('...'))
    return { bar: { done: Number(bar[1]), of: Number(bar[2]), running } }
  }
  if (text === '' || WARNING_COUNT.test(text)) return null
  return { text }
}

/** Returns the unit of work that a JSON message of cargo reports as done, `{name, fresh}` under the bar's name, or null. */
export function finishedUnit(message) {
  if (message.reason === 'build-script-executed') return { name: `${crateName(message.package_id)}(build)`, fresh: false }
  if (message.reason !== 'compiler-artifact') return null
  const { name, kind } = message.target
  if (kind.includes('custom-build')) return { name: `${crateName(message.package_id)}(build.rs)`, fresh: message.fresh }
  if (kind.includes('bin') || kind.includes('example')) return { name: `${name}(${kind[0]})`, fresh: message.fresh }
  return { name: crateName(message.package_id), fresh: message.fresh }
}

/** Returns the crate's name in a package id: `…#name@version`, or the folder of `…/name#version`. */
export function crateName(packageId) {
  const [source, fragment = ''] = packageId.split('#')
  const at = fragment.indexOf('@')
  return at > 0 ? fragment.slice(0, at) : source.slice(source.lastIndexOf('/') + 1)
}

/** Returns a compiler error as the compiler shows it, or null for warnings and other messages. */
export function compilerError(message) {
  if (message.reason !== 'compiler-message' || !message.message.level.startsWith('error')) return null
  return message.message.rendered ?? message.message.message
}
