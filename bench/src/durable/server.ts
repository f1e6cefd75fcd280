/**
 * An MCP server over stdio with one tool, which starts as quickly as a process can: what is measured is the command.
 */
import { createInterface } from "node:readline"

const tool = { name: "send", description: "Sends.", inputSchema: { type: "object", properties: {} } }

const results: { readonly [method: string]: (params: { readonly protocolVersion?: string }) => unknown } = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: "bench", version: "1.0.0" }
  }),
  "tools/list": () => ({ tools: [tool] }),
  "tools/call": () => ({ content: [{ type: "text", text: "sent" }] })
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) return
  const result = results[method]?.(params ?? {})
  const answer = result === undefined ? { error: { code: -32601, message: "No such method" } } : { result }
  console.log(JSON.stringify({ jsonrpc: "2.0", id, ...answer }))
})
