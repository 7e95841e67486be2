// Serves the page that tells how far the first start is, on this machine only, until the dashboard takes over its port.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { setTimeout } from 'node:timers/promises'

const HEADERS = {
  // The page tells this server from the dashboard by it.
  'tandem-setup': '1',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'",
}
// A page that asked this lately is open.
const OPEN_WITHIN_MS = 3_000

/**
 * Serves page.html on `/` and `status()` as JSON on `/setup.json`; anything else is not there yet (503). Returns
 * `{address, close}` or throws, for example when the port is taken.
 */
export async function servePage(port, status) {
  const html = readFileSync(new URL('page.html', import.meta.url))
  const sockets = new Set()
  let askedAt = -Infinity

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    if (pathname === '/') {
      response.writeHead(200, { ...HEADERS, 'content-type': 'text/html; charset=utf-8' }).end(html)
    } else if (pathname === '/setup.json') {
      askedAt = performance.now()
      response.writeHead(200, { ...HEADERS, 'content-type': 'application/json' }).end(JSON.stringify(status()))
    } else {
      const headers = { ...HEADERS, 'content-type': 'text/plain; charset=utf-8', 'retry-after': '5' }
      response.writeHead(503, headers).end('Tandem is being set up: / tells how far it is\n')
    }
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')

  return {
    address: `http://127.0.0.1:${server.address().port}`,
    /** Frees the port at once, or after `graceMs` if a page is open: so long it can fetch the last status. */
    async close(graceMs) {
      if (graceMs > 0 && performance.now() - askedAt < OPEN_WITHIN_MS) {
        await setTimeout(graceMs)
      }
      server.close()
      // A reset leaves nothing behind that keeps the next server from the port.
      for (const socket of sockets) socket.resetAndDestroy()
    },
  }
}
