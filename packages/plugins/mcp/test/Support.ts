import { mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
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

/** Servers from npm. */
export const servers = {
  everything: import.meta.resolve("@modelcontextprotocol/server-everything/dist/index.js"),
  filesystem: import.meta.resolve("@modelcontextprotocol/server-filesystem/dist/index.js"),
  memory: import.meta.resolve("@modelcontextprotocol/server-memory/dist/index.js")
}

/** The configuration of a server from npm. */
export const npmServer = (name: keyof typeof servers, ...args: ReadonlyArray<string>) => ({
  transport: "stdio",
  command: process.execPath,
  args: [fileURLToPath(servers[name]), ...args]
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

/** A folder that is removed with the scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "plugin-mcp-")))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** A variable of this process's environment, for as long as the scope. */
export const withVariable = (name: string, value: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      process.env[name] = value
    }),
    () =>
      Effect.sync(() => {
        delete process.env[name]
      })
  )

/** Whether a process runs. */
export const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
