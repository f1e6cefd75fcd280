/**
 * An MCP server whose calls go wrong as their arguments say, and which counts their effects in a file.
 *
 * It is given the folder of its files: `arrived` has a line for each call that arrived, `effects` one for each that took effect. A line is the
 * call's idempotency key.
 */
import { appendFileSync, closeSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"

const [folder = "."] = process.argv.slice(2)
const kinds = { plain: {}, read: { readOnlyHint: true }, put: { idempotentHint: true }, keyed: {} }
const tools = Object.entries(kinds).map(([name, annotations]) => ({
  name,
  annotations,
  inputSchema: { type: "object" },
  ...(name === "keyed" && { _meta: { "executor/acceptsIdempotencyKey": true } })
}))

const send = (message: object) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
const done = { content: [{ type: "text", text: "done" }] }
let late: (() => void) | undefined

/** How a call ends that is not answered. The other ways are for the client: it waits, cancels or closes. */
const ends: { readonly [end: string]: () => void } = {
  exit: () => process.exit(3),
  kill: () => process.kill(process.pid, "SIGKILL"),
  pipe: () => closeSync(1)
}

interface Call {
  readonly id: number
  readonly params: {
    readonly _meta: { readonly "executor/idempotencyKey": string }
    readonly arguments: { readonly point?: string; readonly end?: string }
  }
}

const serve = ({ id, params }: Call) => {
  const { end = "", point } = params.arguments
  const key = `${params._meta["executor/idempotencyKey"]}\n`
  appendFileSync(join(folder, "arrived"), key)
  if (point === "sent") return ends[end]?.()
  appendFileSync(join(folder, "effects"), key)
  switch (point) {
    case "working":
      return ends[end]?.()
    case "half":
      return process.stdout.write(`{"jsonrpc":"2.0","id":${id},"result":{"cont`, () => ends[end]?.())
    case "malformed":
      return process.stdout.write(`{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"do\n`)
    case "late":
      late = () => send({ id, result: done })
      return
    default:
      return send({ id, result: done })
  }
}

createInterface({ input: process.stdin })
  .on("close", () => process.exit(0))
  .on("line", (line) => {
    const message = JSON.parse(line)
    switch (message.method) {
      case "initialize":
        return send({
          id: message.id,
          result: {
            protocolVersion: "2025-06-18",
            capabilities: { tools: {} },
            serverInfo: { name: "faults", version: "1" }
          }
        })
      case "tools/list":
        return send({ id: message.id, result: { tools } })
      case "tools/call":
        return serve(message)
      case "notifications/cancelled":
        return late?.()
      default:
        return message.id === undefined
          ? undefined
          : send({ id: message.id, error: { code: -32_601, message: "Method not found" } })
    }
  })
