/**
 * An engine on real parts: the QuickJS sandbox, and a history in memory or in an SQLite file.
 */
import {
  createExecutionEngine,
  type ExecutionEngineOptions,
  type ExecutionOutcome,
  type PausedExecution
} from "@executor/execution"
import {
  createExecutor,
  type DBAdapter,
  definePlugin,
  type ExecutionId,
  type Executor,
  MemoryAdapter,
  type StaticTool,
  tool
} from "@executor/sdk"
import { CodeExecutor } from "@executor/kernel"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { assert } from "@effect/vitest"
import { Effect, Logger, Schema } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A tool without effects. */
export const add = tool({
  name: "add",
  description: "Adds.",
  input: Schema.Struct({ a: Schema.Number, b: Schema.Number }),
  annotations: { readOnly: true },
  handler: ({ a, b }) => a + b
})

/** An SQLite history in a folder that goes with the scope. */
export const sqlite = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "executor-execution-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  return yield* SqliteAdapter.make({ file: join(folder, "history.sqlite") })
})

/** A history in memory. */
export const memory: Effect.Effect<DBAdapter["Service"]> = Effect.sync(() => MemoryAdapter.make())

/** An executor whose tools are under the namespace `t`. */
export const executorOf = (adapter: DBAdapter["Service"], tools: ReadonlyArray<StaticTool>, scope = "team") =>
  createExecutor({
    scopes: [scope],
    adapter,
    plugins: [definePlugin({ id: "tests", staticSources: [{ namespace: "t", description: "Test tools.", tools }] })]
  })

/** An engine over the tools, its history in memory unless an adapter is given. */
export const engineOf = Effect.fnUntraced(function* (
  tools: ReadonlyArray<StaticTool>,
  options: Partial<ExecutionEngineOptions> & { readonly adapter?: DBAdapter["Service"]; readonly scope?: string } = {}
) {
  const codeExecutor = yield* CodeExecutor
  const executor = yield* executorOf(options.adapter ?? MemoryAdapter.make(), tools, options.scope)
  const engine = yield* createExecutionEngine({ executor, codeExecutor, ...options })
  return { engine, executor, history: historyOf(executor) }
})

/** Reads what was recorded. */
export const historyOf = (executor: Executor) => {
  const [scope] = executor.scopes
  const { executions } = executor
  return {
    row: (id: ExecutionId) => Effect.map(executions.get(scope, id), ({ execution }) => execution),
    calls: (id: ExecutionId) => executions.listToolCalls(scope, id),
    interactions: (id: ExecutionId) => executions.listInteractions(scope, id),
    /** The executions there are, newest first. */
    rows: Effect.map(executions.list(scope, { limit: 100 }), ({ executions }) =>
      executions.map(({ execution }) => execution)
    )
  }
}

/** The execution that waits; fails with one that has ended. */
export const paused = (outcome: ExecutionOutcome): PausedExecution => {
  if (outcome.status !== "paused") assert.fail(`expected a pause, got ${outcome.status} ${outcome.error?.message}`)
  return outcome.execution
}

/** Runs what logs an error on purpose. */
export const quietly = Effect.provide(Logger.layer([]))

/** Options of an engine that is as good as gone: its leases have always run out. */
export const gone = { leaseMs: -60_000 }

/** A turn of the real event loop, in which the sandbox goes on while the test's clock stands. */
export const nextTurn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Waits, with the test's clock standing, until something has happened. */
export const until = (happened: () => boolean) =>
  Effect.suspend(() => (happened() ? Effect.void : Effect.repeat(nextTurn, { until: happened })))
