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

const refuseClosing = (response: ServerResponse): void => {
  response.writeHead(503, { "content-type": contentType, connection: "close" })
  response.end(problem(503, "Service Unavailable", "The server is closing. Nothing of this was done."))
}

/** Requests begun in one turn of the event loop: each takes about half a millisecond. */
const requestsPerTurn = 16

/** The question whether the server is alive waits for nothing. */
const isUrgent = (request: IncomingMessage): boolean => request.url === "/health"

/** A request comes as the second where its caller waits for leave to send the body. */
const isRequest = (event: string): boolean => event === "request" || event === "checkContinue"

class PacedServer extends Server {
  private readonly waiting: Array<() => void> = []
  private leftThisTurn = requestsPerTurn
  private nextTurn: NodeJS.Immediate | undefined

  override emit(event: string, ...args: Array<unknown>): boolean {
    if (!isRequest(event)) return super.emit(event, ...args)
    const [request, response] = args as [IncomingMessage, ServerResponse]
    if (isUrgent(request)) return super.emit(event, ...args)
    this.waiting.push(() => {
      // Its caller may have gone away while it waited, or the server closed.
      if (request.socket.destroyed) return
      if (!super.emit(event, ...args)) refuseClosing(response)
    })
    this.begin()
    return true
  }

  /** Begins what this turn has left to begin. The next turn goes on, also where a request throws. */
  private begin(): void {
    this.nextTurn ??= setImmediate(() => {
      this.nextTurn = undefined
      this.leftThisTurn = requestsPerTurn
      if (this.waiting.length > 0) this.begin()
    })
    while (this.leftThisTurn > 0) {
      const next = this.waiting.shift()
      if (next === undefined) return
      this.leftThisTurn--
      next()
    }
  }
}

/**
 * Makes the server; it does not listen yet. A request without `Host` is left to the gate. One that offers to go on in another protocol
 * is answered in this one, as there is no other here.
 */
export const makeNodeServer = (): Server =>
  new PacedServer({ requireHostHeader: false, shouldUpgradeCallback: () => false })
    .on("clientError", refuse)
    .on("checkExpectation", refuseExpectation)
