/**
 * The history that a server under test writes, read from its SQLite file.
 */
import { createExecutor, ExecutionId, type ExecutionStatus, ScopeId } from "@executor/sdk"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { Effect, Schedule } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** The scope the fixture writes to. */
const scope = ScopeId.make("test")

/** A database file of its own, removed with the scope. */
export const temporaryFile = Effect.map(
  Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "executor-mcp-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  ),
  (folder) => join(folder, "test.db")
)

/** Opens the history of a file. */
export const open = Effect.fnUntraced(function* (file: string) {
  const { executions } = yield* createExecutor({ scopes: ["test"], adapter: yield* SqliteAdapter.make({ file }) })
  const get = (id: string) => Effect.map(executions.get(scope, ExecutionId.make(id)), ({ execution }) => execution)
  return {
    get,
    interactions: (id: string) => executions.listInteractions(scope, ExecutionId.make(id)),
    toolCalls: (id: string) => executions.listToolCalls(scope, ExecutionId.make(id)),
    /** Newest first. */
    list: Effect.map(executions.list(scope), ({ executions }) => executions.map(({ execution }) => execution)),
    /** Waits until the newest execution has this status. */
    newestWith: (status: ExecutionStatus) =>
      executions.list(scope, { limit: 1, statusFilter: [status] }).pipe(
        Effect.flatMap(({ executions: [newest] }) =>
          newest === undefined ? Effect.fail("none yet") : Effect.succeed(newest.execution)
        ),
        Effect.retry(Schedule.spaced("20 millis"))
      ),
    /** Waits until an execution has this status. */
    until: (id: string, status: ExecutionStatus) =>
      get(id).pipe(
        Effect.filterOrFail(
          (execution) => execution.status === status,
          () => "not yet"
        ),
        Effect.retry(Schedule.spaced("20 millis"))
      )
  }
})

export type History = Effect.Success<ReturnType<typeof open>>
