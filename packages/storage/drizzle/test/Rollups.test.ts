/**
 * Counters that were damaged by hand: found, made anew, and then the same as what the adapter in memory counts.
 */
import {
  type DBAdapter,
  DBExecutionStore,
  type DBError,
  ExecutionId,
  ExecutionToolCallId,
  MemoryAdapter,
  ScopeId
} from "@executor/sdk"
import { DatabaseUrl, Rollups } from "@executor/storage-drizzle"
import { freshDatabase, runSql } from "@executor/storage-drizzle/testing"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect, type Scope } from "effect"
import { join } from "node:path"
import { temporaryFolder } from "./temporaryFolder.ts"

const scope = ScopeId.make("a")
const statuses = ["completed", "failed", "cancelled", "running"] as const
const tools = ["github.issues.create", "slack.post"]

/** The same executions wherever they are written: of two days, of each status, with and without calls. */
const fill = Effect.fnUntraced(function* (adapter: DBAdapter["Service"]) {
  const store = DBExecutionStore.make(adapter)
  for (let i = 0; i < 12; i++) {
    const id = ExecutionId.make(`e${i}`)
    const createdAt = i * 5 * 3_600_000
    const trigger = i % 3 === 0 ? null : { kind: i % 3 === 1 ? "cli" : "mcp" }
    yield* store.create({ id, scopeId: scope, status: "running", code: "1", createdAt, ...(trigger && { trigger }) })
    for (let seq = 0; seq < i % 3; seq++) {
      const call = ExecutionToolCallId.make(`${id}:${seq}`)
      const toolPath = tools[seq] ?? ""
      yield* store.recordToolCall({
        id: call,
        executionId: id,
        scopeId: scope,
        seq,
        toolPath,
        argsJson: "{}",
        startedAt: 0
      })
    }
    const status = statuses[i % 4] ?? "running"
    if (status === "running") continue
    yield* store.update(scope, id, { status, completedAt: createdAt + i, durationMs: i, resultJson: "1" })
  }
  return store
})

const sqlite = Effect.gen(function* () {
  const file = join(yield* temporaryFolder, "history.db")
  const run = (sql: string) =>
    Effect.sync(() => {
      const database = new Database(file, { timeout: 5_000 })
      database.exec(sql)
      database.close()
    })
  return { database: file, run }
})

const postgres = Effect.gen(function* () {
  const url = yield* freshDatabase
  return { database: url, run: (sql: string) => Effect.asVoid(Effect.promise(() => runSql(url, sql))) }
})

interface Damaged {
  readonly database: string
  readonly run: (sql: string) => Effect.Effect<void>
}

const groupsOf = (status: string) => `group_id IN (SELECT id FROM rollup_group WHERE status = '${status}')`

const damages = `UPDATE execution_rollup SET executions = executions + 3, size = 0 WHERE period = 0 AND ${groupsOf("failed")};
  DELETE FROM execution_rollup WHERE period <> 0 AND ${groupsOf("completed")};
  DELETE FROM duration_rollup; UPDATE tool_rollup SET calls = 77, executions = 9;
  INSERT INTO tool_rollup (group_id, tool, executions, calls, failed_calls, in_doubt_calls)
    SELECT min(id), 'no.such', 1, 1, 0, 0 FROM rollup_group;
  DELETE FROM tool_set_member WHERE tool = 'slack.post'; DELETE FROM tool_set_rollup WHERE period > 3600000`

const repairs = (make: Effect.Effect<Damaged, never, Scope.Scope>): void => {
  it.effect("finds counters that do not add up, and makes them anew", () =>
    Effect.gen(function* () {
      const { database, run } = yield* make
      const store = yield* Effect.flatMap(DatabaseUrl.open(database, { reads: "inline" }), fill)
      const memory = yield* fill(MemoryAdapter.make())
      const options = { includeMeta: true, timeRange: { from: 0, to: 60 * 3_600_000 } }
      const metas = Effect.all([store.list(scope, { includeMeta: true }), store.list(scope, options)])
      const expected = yield* Effect.all([memory.list(scope, { includeMeta: true }), memory.list(scope, options)])
      assert.deepStrictEqual(yield* metas, expected)
      assert.deepStrictEqual(yield* Rollups.check({ database }), [])
      const untouched = yield* Rollups.repair({ database })
      assert.deepStrictEqual(
        untouched.map(({ removed, written }) => [removed, written]),
        [
          [0, 0],
          [0, 0],
          [0, 0],
          [0, 0],
          [0, 0]
        ]
      )

      yield* run(damages)
      assert.notDeepEqual(yield* metas, expected)
      const [difference] = yield* Rollups.check({ database })
      assert.strictEqual(difference?.scopeId, "a")
      assert.strictEqual(difference?.ended, 9)
      assert.isAbove(difference?.counted ?? 0, 9)
      const [executions, durations, ofTools, members, ofSets] = yield* Rollups.repair({ database })
      assert.isAbove(executions?.written ?? 0, executions?.removed ?? 0)
      assert.strictEqual(durations?.removed, 0)
      assert.isAbove(durations?.written ?? 0, 0)
      assert.strictEqual(ofTools?.removed, (ofTools?.written ?? 0) + 1)
      assert.deepStrictEqual(
        [members, ofSets].map((rebuilt) => [rebuilt?.removed, (rebuilt?.written ?? 0) > 0]),
        [
          [0, true],
          [0, true]
        ]
      )
      assert.deepStrictEqual(yield* metas, expected)
      assert.deepStrictEqual(yield* Rollups.check({ database }), [])

      const late = ExecutionId.make("e3")
      const end = { status: "completed", completedAt: 1, durationMs: 1 } as const
      yield* Effect.all([store.update(scope, late, end), memory.update(scope, late, end)])
      const lateCall = { executionId: late, scopeId: scope, seq: 9, argsJson: "{}", startedAt: 0 }
      const call = { ...lateCall, id: ExecutionToolCallId.make(`${late}:9`), toolPath: "slack.post" }
      yield* Effect.all([store.recordToolCall(call), memory.recordToolCall(call)])
      for (const toolPathFilter of [[], ["slack.*", "*.post"]]) {
        assert.deepStrictEqual(
          (yield* store.list(scope, { toolPathFilter, includeMeta: true })).meta,
          (yield* memory.list(scope, { toolPathFilter, includeMeta: true })).meta
        )
      }
    })
  )
}

describe("the counters on SQLite", () => {
  repairs(sqlite)
})
describe("the counters on Postgres", () => {
  repairs(postgres)
})

it.effect("does not make a database that is not there", () =>
  Effect.gen(function* () {
    const database = join(yield* temporaryFolder, "none.db")
    const error: DBError = yield* Effect.flip(Rollups.check({ database }))
    assert.strictEqual(error.reason, "unavailable")
  })
)
