/** How the WebSocket stands. Times are this machine's. */
export type ConnectionState =
  /** The first attempt is under way. */
  | { state: 'connecting' }
  /** Messages arrive. */
  | { state: 'open' }
  /** The socket is open and nothing has come since. */
  | { state: 'stale'; sinceMs: number }
  /** It was lost; the next attempt is due at `retryAtMs`. */
  | { state: 'waiting'; attempt: number; retryAtMs: number }
  /** It was lost; an attempt is under way. */
  | { state: 'retrying'; attempt: number }

/** The part of a browser's WebSocket that is used. */
export type Socket = Pick<WebSocket, 'onopen' | 'onmessage' | 'onclose' | 'close'>

export interface ConnectionSettings {
  openSocket: () => Socket
  onText: (text: unknown) => void
  onState: (state: ConnectionState) => void
  /** Uniform in 0..1. */
  random?: () => number
}

const FIRST_DELAY_MS = 500
const LONGEST_DELAY_MS = 15_000
/** An attempt that is neither opened nor refused by then is given up: a dropped packet would hold it for minutes. */
const OPEN_TIMEOUT_MS = 10_000
/** The api sends its status every few seconds, so silence this long means trouble. */
export const STALE_AFTER_MS = 20_000
/** A connection can die without a word (a closed lid, a lost route). Silence this long: start again. */
export const GIVE_UP_AFTER_MS = 45_000

/** Doubling from half a second to 15 s, with the upper half random so that many clients do not return at once. */
export function retryDelayMs(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt - 1, 10))
  return Math.round(ceiling * (0.5 + random / 2))
}

/** Keeps one WebSocket to the api: reconnects until stopped. A new connection begins with a snapshot, so nothing is resumed. */
export class Connection {
  private socket: Socket | null = null
  private retryTimer: ReturnType<typeof setTimeout> | undefined
  private openTimer: ReturnType<typeof setTimeout> | undefined
  private staleTimer: ReturnType<typeof setTimeout> | undefined
  private giveUpTimer: ReturnType<typeof setTimeout> | undefined
  /** Failed or lost connections since the last message. */
  private attempt = 0
  private state: ConnectionState['state'] = 'connecting'

  constructor(private readonly settings: ConnectionSettings) {}

  start(): void {
    this.setState({ state: 'connecting' })
    this.open()
  }

  /** Ends the connection and every timer. */
  stop(): void {
    this.clearTimers()
    this.dropSocket()
  }

  /** Tries at once instead of waiting: the network came back, or the person asked. */
  retryNow(): void {
    if (this.state !== 'waiting') return
    this.setState({ state: 'retrying', attempt: this.attempt })
    this.open()
  }

  private open(): void {
    this.clearTimers()
    this.dropSocket()
    let socket: Socket
    try {
      socket = this.settings.openSocket()
    } catch {
      this.lost()
      return
    }
    this.socket = socket
    socket.onopen = () => {
      this.listen()
    }
    socket.onmessage = (event: MessageEvent<unknown>) => {
      this.attempt = 0
      if (this.state !== 'open') this.setState({ state: 'open' })
      this.listen()
      this.settings.onText(event.data)
    }
    socket.onclose = () => {
      this.lost()
    }
    this.openTimer = setTimeout(() => {
      this.lost()
    }, OPEN_TIMEOUT_MS)
  }

  /** The socket works: (re)starts the watch over silence. */
  private listen(): void {
    for (const timer of [this.openTimer, this.staleTimer, this.giveUpTimer]) clearTimeout(timer)
    const sinceMs = Date.now()
    this.staleTimer = setTimeout(() => {
      this.setState({ state: 'stale', sinceMs })
    }, STALE_AFTER_MS)
    this.giveUpTimer = setTimeout(() => {
      this.lost()
    }, GIVE_UP_AFTER_MS)
  }

  private lost(): void {
    this.clearTimers()
    this.dropSocket()
    this.attempt += 1
    const delayMs = retryDelayMs(this.attempt, (this.settings.random ?? Math.random)())
    this.setState({ state: 'waiting', attempt: this.attempt, retryAtMs: Date.now() + delayMs })
    this.retryTimer = setTimeout(() => {
      this.retryNow()
    }, delayMs)
  }

  private setState(state: ConnectionState): void {
    this.state = state.state
    this.settings.onState(state)
  }

  private dropSocket(): void {
    const socket = this.socket
    this.socket = null
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  private clearTimers(): void {
    for (const timer of [this.retryTimer, this.openTimer, this.staleTimer, this.giveUpTimer]) clearTimeout(timer)
  }
}
