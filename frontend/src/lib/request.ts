import { z } from 'zod/mini'

import { readRows } from './wire'

const envelopeSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) })

/** A request that was answered with an error, or not at all. The message is for people. */
export class RequestError extends Error {
  constructor(
    message: string,
    /** The api's error code, or `unreachable` or `malformed`. */
    readonly code: string,
  ) {
    super(message)
    this.name = 'RequestError'
  }
}

/** Longest wait for an answer, ms. */
const TIMEOUT_MS = 15_000

/**
 * Gets JSON from the api and checks its shape.
 *
 * @throws {RequestError} when the api is unreachable, answers with its error envelope or with something malformed.
 * @throws {DOMException} `AbortError` when `signal` aborts.
 */
export async function getJson<T extends z.ZodMiniType>(
  path: string,
  query: Record<string, string | number | null>,
  schema: T,
  signal: AbortSignal,
): Promise<z.infer<T>> {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== null) search.set(name, String(value))
  let response: Response
  let body: unknown
  try {
    response = await fetch(`${path}?${search}`, { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) })
    body = await response.json()
  } catch (error) {
    if (signal.aborted) throw error
    if (error instanceof SyntaxError) throw new RequestError('The api sent an answer that is not JSON.', 'malformed')
    throw new RequestError('The api cannot be reached.', 'unreachable')
  }
  if (!response.ok) {
    const envelope = z.safeParse(envelopeSchema, body)
    if (envelope.success) throw new RequestError(envelope.data.error.message, envelope.data.error.code)
    throw new RequestError(`The api answered ${response.status}.`, 'malformed')
  }
  const result = z.safeParse(schema, body)
  if (!result.success) throw new RequestError('The api sent an answer of an unexpected shape.', 'malformed')
  return result.data
}

/** A ticker that is left again this soon was only passed on the way to another, ms. */
const PASSING_MS = 120

let chosen = { ticker: '', at: -Infinity, passing: false }

/**
 * Waits until it is clear that a ticker is meant. The first choice is meant at once; of several in quick succession,
 * as when an arrow key is held, only the last, so that those between ask for nothing.
 *
 * @throws {DOMException} `AbortError` when `signal` aborts.
 */
export async function untilMeant(ticker: string, signal: AbortSignal): Promise<void> {
  const now = performance.now()
  if (ticker !== chosen.ticker) chosen = { ticker, at: now, passing: now - chosen.at < PASSING_MS }
  const wait = chosen.passing ? chosen.at + PASSING_MS - now : 0
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
  signal.throwIfAborted()
}

/** The rows that can be used; the others are named on the console. */
export function usableRows<T extends z.ZodMiniType>(schema: T, data: unknown[], what: string): z.infer<T>[] {
  const { rows, faults } = readRows(schema, data, what)
  if (faults.length > 0) console.warn('unreadable from the api:', faults.slice(0, 3).join('; '))
  return rows
}
