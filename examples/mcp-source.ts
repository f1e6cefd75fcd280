/**
 * An MCP server as a source: its tools become `tools.everything.*`.
 *
 * Run it with `npx node examples/mcp-source.ts` after `npm run build`.
 */
import { createExecutionEngine } from "@executor/execution"
import { mcpPlugin } from "@executor/plugin-mcp"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { createExecutor, MemoryAdapter } from "@executor/sdk"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"

const server = fileURLToPath(import.meta.resolve("@modelcontextprotocol/server-everything/dist/index.js"))

const program = Effect.gen(function* () {
  const adapter = MemoryAdapter.make()
  const executor = yield* createExecutor({ scopes: ["example"], adapter, plugins: [mcpPlugin()] })
  const engine = yield* createExecutionEngine({ executor, codeExecutor: yield* QuickJsExecutor.make() })

  const source = yield* executor.sources.add({
    namespace: "everything",
    pluginId: "mcp",
    config: { transport: "stdio", command: process.execPath, args: [server] }
  })
  console.log(`${source.namespace} has tools:`, source.toolCount > 0)

  const [match] = yield* executor.tools.search({ query: "sum of two numbers" })
  console.log("found:", match?.tool.path)

  const { result } = yield* engine.execute(
    `return await tools.everything["get-structured-content"]({ location: "Chicago" })`
  )
  console.log("weather:", JSON.stringify(result))
})

await Effect.runPromise(Effect.scoped(program))
