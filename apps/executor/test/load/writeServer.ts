/**
 * An MCP server whose tool `write` leaves a trace of each call: its idempotency key, as a line of a file that outlives every process. It
 * says nothing of being safe to repeat.
 *
 * Arguments: the file of the keys, and a file for its process id.
 */
import { appendFileSync } from "node:fs"
import { createInterface } from "node:readline"

const [effects = "", processes = ""] = process.argv.slice(2)
appendFileSync(processes, `${process.pid}\n`)

const answer = (id: unknown, body: object) =>
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...body })}\n`)

createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) return
  switch (method) {
    case "initialize": {
      const serverInfo = { name: "load", version: "1.0.0" }
      return answer(id, { result: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo } })
    }
    case "tools/list": {
      const tools = [{ name: "write", description: "Leaves a trace.", inputSchema: { type: "object" } }]
      return answer(id, { result: { tools } })
    }
    case "tools/call":
      appendFileSync(effects, `${params._meta["executor/idempotencyKey"]}\n`)
      return answer(id, { result: { content: [], structuredContent: params.arguments } })
    default:
      return answer(id, { error: { code: -32601, message: "Method not found" } })
  }
})
