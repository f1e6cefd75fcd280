/**
 * What a write costs on Postgres does not grow with the table: connections keep the plans that they made when it was small.
 */
import { DBExecutionStore, ExecutionId, ExecutionToolCallId, ScopeId } from "@executor/sdk"
import { PostgresAdapter } from "@executor/storage-drizzle"
import { freshDatabase, runSql } from "@executor/storage-drizzle/testing"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { connected, until } from "./postgres.ts"

const scopeId = ScopeId.make("a")

const executions = 1200

/** Rows that an execution may read of a table, on average. Plans that were made for a small table read up to 3,600. */
const maxRead = 500

const statistics = (table: string, column: string) =>
  `(SELECT ${column}::int FROM pg_stat_user_tables WHERE relname = '${table}')`

it.live("an execution does not read those before it, on a connection that has been there since they were few", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* Effect.scoped(
      Effect.gen(function* () {
        const store = DBExecutionStore.make(yield* PostgresAdapter.make({ url }))
        const client = yield* connected(url)
        for (let i = 0; i < executions; i++) {
          const id = ExecutionId.make(`e${i}`)
          yield* store.create({ id, scopeId, status: "running", code: `return ${i}`, createdAt: i })
          const call = { executionId: id, scopeId, id: ExecutionToolCallId.make(`c${i}`), seq: 0, toolPath: "a.b" }
          yield* store.recordToolCall({ ...call, argsJson: "{}", startedAt: i })
          yield* store.finishToolCall(scopeId, call.id, {
            status: "completed",
            completedAt: i,
            durationMs: 1,
            settleSeq: 0
          })
          yield* store.update(scopeId, id, { status: "completed", completedAt: i, durationMs: 1 })
          // With statistics of a small table, plans are made that suit one.
          if (i === 1) yield* Effect.promise(() => client.query("VACUUM ANALYZE"))
        }
      })
    )
    const client = yield* connected(url)
    for (const table of ["execution", "execution_code", "execution_tool", "execution_tool_call"]) {
      // A connection tells what it has done when it ends, and then the server takes a moment.
      yield* until(client, `${statistics(table, "n_tup_ins")} >= ${executions}`)
      const [row] = yield* Effect.promise(() => runSql(url, `SELECT ${statistics(table, "seq_tup_read")} AS read`))
      assert.isAtMost(Number(row?.["read"]), maxRead * executions, table)
    }
  })
)
