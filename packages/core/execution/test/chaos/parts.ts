/**
 * What both sides of a crash are made of: a database by its URL, and an engine in a scope of its own.
 */
import { createExecutionEngine, type ExecutionEngineOptions } from "@executor/execution"
import type { CodeExecutor } from "@executor/kernel"
import { createExecutor, type DBAdapter, definePlugin, type StaticTool } from "@executor/sdk"
import { PostgresAdapter, SqliteAdapter } from "@executor/storage-drizzle"
import { Effect } from "effect"

/** How long a database is waited for: that the machine is busy is no fault to be tested here. */
const patienceMs = 300_000

/** Opens a file or a Postgres. */
export const openDatabase = (database: string) =>
  database.startsWith("postgres")
    ? PostgresAdapter.make({ url: database, waitMillis: patienceMs })
    : SqliteAdapter.make({ file: database, reads: "inline", lockWaitMillis: patienceMs })

/** An engine over the tools, whose executions are in `scope`. */
export const makeEngine = Effect.fnUntraced(function* (
  scope: string,
  adapter: DBAdapter["Service"],
  codeExecutor: CodeExecutor["Service"],
  tools: ReadonlyArray<StaticTool>,
  options: Partial<ExecutionEngineOptions>
) {
  const plugin = definePlugin({ id: "chaos", staticSources: [{ namespace: "t", description: "Chaos.", tools }] })
  const executor = yield* createExecutor({ scopes: [scope], adapter, plugins: [plugin] })
  const engine = yield* createExecutionEngine({ executor, codeExecutor, ...options })
  return { engine, store: executor.executions, scopeId: executor.scopes[0] }
})
