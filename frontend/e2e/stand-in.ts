import { createHash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** The built page: what `npm run build` leaves. */
export const BUILT_PAGE = process.env.PAGE_FOLDER ?? fileURLToPath(new URL('../out', import.meta.url))

const TYPES: Partial<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
}

/** What the api would answer to a request; undefined where there is nothing. */
export type Answer = (url: URL) => unknown

/**
 * Takes the api's place for states that the real system cannot be brought into: serves the built page, answers its
 * requests and says on its socket what a test tells it to.
 */
export class StandIn {
  /** Paths with their queries, in the order in which they were asked for. */
  readonly requests: string[] = []
  /** While false, nobody is let onto the socket. */
  accepts = true
  private readonly clients = new Set<Duplex>()
  private seq = 1

  private constructor(
    private readonly server: Server,
    /** The first message of each connection: a text as it is, all else as JSON. */
    public snapshot: object | string,
    public answer: Answer,
  ) {}

  static async start(snapshot: object | string, answer: Answer): Promise<StandIn> {
    const server = createServer()
    const standIn = new StandIn(server, snapshot, answer)
    server.on('request', (request, response) => {
      const url = new URL(request.url ?? '/', 'http://stand-in')
      const file = path.join(BUILT_PAGE, path.normalize(url.pathname === '/' ? '/index.html' : url.pathname))
      if (existsSync(file) && statSync(file).isFile()) {
        response.setHeader('content-type', TYPES[path.extname(file)] ?? 'application/octet-stream')
        createReadStream(file).pipe(response)
        return
      }
      standIn.requests.push(url.pathname + url.search)
      const body = standIn.answer(url)
      response.statusCode = body === undefined ? 404 : 200
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(body ?? { error: { code: 'unknown_path', message: 'There is nothing here.' } }))
    })
    server.on('upgrade', (request, socket) => {
      standIn.connect(request.headers['sec-websocket-key'] ?? '', socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return standIn
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`
  }

  /** Says it to everybody, with the next sequence number. */
  say(message: object): void {
    this.seq += 1
    const frame = toFrame(JSON.stringify({ seq: this.seq, ...message }))
    for (const client of this.clients) client.write(frame)
  }

  /** Ends every connection. */
  hangUp(): void {
    for (const client of this.clients) client.destroy()
    this.clients.clear()
  }

  async stop(): Promise<void> {
    this.hangUp()
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private connect(key: string, socket: Duplex): void {
    // A page that is closed may reset its connection.
    socket.on('error', () => undefined)
    if (!this.accepts) {
      socket.destroy()
      return
    }
    // RFC 6455, 1.3: the handshake's constant.
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    const { snapshot } = this
    socket.write(toFrame(typeof snapshot === 'string' ? snapshot : JSON.stringify({ seq: this.seq, ...snapshot })))
    this.clients.add(socket)
    socket.on('close', () => this.clients.delete(socket))
    // The page says nothing but goodbye.
    socket.on('data', () => undefined)
    socket.on('end', () => socket.destroy())
  }
}

/** One unmasked text frame, as a server sends it. */
function toFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  const { length } = payload
  if (length < 126) return Buffer.concat([Buffer.from([0x81, length]), payload])
  const head = Buffer.alloc(length < 65_536 ? 4 : 10)
  head[0] = 0x81
  if (length < 65_536) {
    head[1] = 126
    head.writeUInt16BE(length, 2)
  } else {
    head[1] = 127
    head.writeBigUInt64BE(BigInt(length), 2)
  }
  return Buffer.concat([head, payload])
}
