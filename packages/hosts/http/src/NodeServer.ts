/**
 * Node's HTTP server, so that also what it refuses by itself, before there is a request, is refused with a problem document.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
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

/** Makes the server; it does not listen yet. A request without `Host` is left to the gate. */
export const makeNodeServer = (): Server =>
  createServer({ requireHostHeader: false }).on("clientError", refuse).on("checkExpectation", refuseExpectation)
