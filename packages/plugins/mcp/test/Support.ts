import { fileURLToPath } from "node:url"
import { createExecutor, type ElicitationHandler, type Executor, MemoryAdapter } from "@executor/sdk"
import { mcpPlugin } from "@executor/plugin-mcp"
import { Effect } from "effect"

/** An executor with the MCP plugin. */
export const makeExecutor = (adapter = MemoryAdapter.make()) =>
  createExecutor({ scopes: ["team"], adapter, plugins: [mcpPlugin()] })

/** The configuration of a server of `test/fixtures`. */
export const fixture = (name: string, ...args: ReadonlyArray<string>) => ({
  transport: "stdio",
  command: process.execPath,
  args: [fileURLToPath(new URL(`./fixtures/${name}.ts`, import.meta.url)), ...args]
})

/** The configuration of a server from npm. */
export const npmServer = (name: string, ...args: ReadonlyArray<string>) => ({
  transport: "stdio",
  command: process.execPath,
  args: [fileURLToPath(import.meta.resolve(`@modelcontextprotocol/${name}/dist/index.js`)), ...args]
})

/** Adds a source. */
export const add = (executor: Executor, namespace: string, config: unknown) =>
  executor.sources.add({ namespace, pluginId: "mcp", config })

/** Agrees to approvals, and hands other questions on. */
export const approving =
  (others?: ElicitationHandler): ElicitationHandler =>
  (request) =>
    request.kind === "approval" || others === undefined ? Effect.succeed({ action: "accept" }) : others(request)

/** Calls with all approvals given. */
export const call = (executor: Executor, path: string, args: unknown = {}, onElicitation?: ElicitationHandler) =>
  executor.tools.invoke(path, args, { onElicitation: approving(onElicitation) })
