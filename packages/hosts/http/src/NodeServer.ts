/**
 * Node's HTTP server, so that also what it refuses by itself, before there is a request, is refused with a problem document.
 *
 * Thousands of requests that come at once are begun a few a turn of the event loop, in their order. Beginning all of them in one turn
 * would hold up everything else for seconds: what is under way, and whoever asks whether the server is alive.
 */
import { type IncomingMessage, Server, type ServerResponse } from "node:http"
import type { Duplex } from "node:stream"

const statuses: { readonly [code: string]: readonly [status: number, title: string, detail: string] } = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large", "The headers are larger than 16 KB."],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout", "The request did not arrive in time."]
}

const contentType = "application/problem+json"

const malformed = [400, "Bad Request", "This is not an HTTP request."] as const

const problem = (status: number, title: string, detail: string): string =>
  JSON.stringify({ type: "about:blank", status, title, detail })

const refuse = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, title, detail] = statuses[error.code ?? ""] ?? malformed
  const body = problem(status, title, detail)
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\ncontent-type: ${contentType}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
  )
}

const refuseExpectation = (_: IncomingMessage, response: ServerResponse): void => {
  response.writeHead(417, { "content-type": contentType, connection: "close" })
  response.end(problem(417, "Expectation Failed", "The only expectation that can be met is 100-continue."))
}

/** Requests begun in one turn of the event loop: each takes about half a millisecond. */
const requestsPerTurn = 16

/** The question whether the server is alive waits for nothing. */
const isUrgent = (request: IncomingMessage): boolean => request.url === "/health"

class PacedServer extends Server {
  private readonly waiting: Array<() => void> = []
  private begun = 0

  override emit(event: string, ...args: Array<unknown>): boolean {
    if (event !== "request") return super.emit(event, ...args)
    const [request, response] = args as [IncomingMessage, ServerResponse]
    if (isUrgent(request)) return super.emit(event, ...args)
    this.begin(() => {
      // Its caller may have gone away while it waited.
      if (!response.destroyed) super.emit(event, ...args)
    })
    return true
  }

  private begin(request: () => void): void {
    if (this.begun === 0) setImmediate(() => this.nextTurn())
    if (this.begun++ < requestsPerTurn) request()
    else this.waiting.push(request)
  }

  private nextTurn(): void {
    this.begun = 0
    for (const request of this.waiting.splice(0, requestsPerTurn)) this.begin(request)
    // What comes before the next turn waits behind what waits already.
    if (this.waiting.length > 0) this.begun = Math.max(this.begun, requestsPerTurn)
  }
}

/** Makes the server; it does not listen yet. A request without `Host` is left to the gate. */
export const makeNodeServer = (): Server =>
  new PacedServer({ requireHostHeader: false }).on("clientError", refuse).on("checkExpectation", refuseExpectation)
