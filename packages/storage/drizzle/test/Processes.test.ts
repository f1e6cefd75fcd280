import { DBExecutionStore, ExecutionId, ScopeId } from "@executor/sdk"
import { Rollups, SqliteAdapter } from "@executor/storage-drizzle"
import { assert, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
import { createInterface } from "node:readline"
import { startWriter } from "./startWriter.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

const scopeId = ScopeId.make("a")
const allExecutions = Effect.fnUntraced(function* (file: string) {
  const adapter = yield* SqliteAdapter.make({ file })
  return yield* adapter.find({
    table: "execution",
    select: ["id", "status", "tool_call_count"],
    orderBy: [{ column: "id", direction: "asc" }]
  })
})

const checkIntegrity = (file: string): unknown => {
  const database = new Database(file)
  try {
    return [database.pragma("integrity_check", { simple: true }), database.pragma("foreign_key_check")]
  } finally {
    database.close()
  }
}

it.effect("several processes open a fresh file at once and write to it without loss", () =>
  Effect.gen(function* () {
    const file = `${yield* temporaryFolder}/executor.db`
    const names = ["p0", "p1", "p2", "p3"]
    const writers = yield* Effect.all(names.map((name) => startWriter(file, name, "60")))
    for (const writer of writers) {
      assert.deepStrictEqual(yield* Effect.promise(() => writer.ended), { errors: "", code: 0 })
    }
    const expected = names.flatMap((name) => Array.from({ length: 60 }, (_, i) => `${name}-${i}`))
    const rows = yield* allExecutions(file)
    assert.deepStrictEqual(
      rows.map((row) => row["id"]),
      expected.toSorted()
    )
    assert.deepStrictEqual(
      new Set(rows.map((row) => `${row["status"]} ${row["tool_call_count"]}`)),
      new Set(["completed 2"])
    )
    assert.deepStrictEqual(checkIntegrity(file), ["ok", []])
  })
)

it.effect("a killed writer leaves a readable file with all that it had reported", () =>
  Effect.gen(function* () {
    const file = `${yield* temporaryFolder}/executor.db`
    const writer = yield* startWriter(file, "p")
    yield* Effect.promise(
      () =>
        new Promise<void>((resolve) => {
          const lines = createInterface(writer.process.stdout)
          lines.on("line", (line) => {
            if (line === "p-40") resolve()
          })
        })
    )
    writer.process.kill("SIGKILL")
    yield* Effect.promise(() => writer.ended)

    const store = DBExecutionStore.make(yield* SqliteAdapter.make({ file }))
    const reported = writer.lines.filter((line) => line.startsWith("p-"))
    assert.isAbove(reported.length, 40)
    for (const id of reported) {
      const { execution } = yield* store.get(scopeId, ExecutionId.make(id))
      assert.deepInclude(execution, { status: "completed", toolCallCount: 2 })
    }
    // The one that was being written is there in whole units: its count is the number of its calls.
    const last = ExecutionId.make(`p-${reported.length}`)
    const rows = (yield* allExecutions(file)).filter((row) => row["id"] === last)
    if (rows.length > 0) {
      assert.lengthOf(yield* store.listToolCalls(scopeId, last), Number(rows[0]?.["tool_call_count"]))
    }
    assert.deepStrictEqual(checkIntegrity(file), ["ok", []])
    assert.deepStrictEqual(yield* Rollups.check({ database: file }), [])
  })
)

it.effect("waits for a lock that another connection holds, with the event loop free", () =>
  Effect.gen(function* () {
    const file = `${yield* temporaryFolder}/executor.db`
    const store = DBExecutionStore.make(yield* SqliteAdapter.make({ file }))
    const other = new Database(file)
    other.exec("BEGIN IMMEDIATE")
    let turns = 0
    const timer = setInterval(() => {
      // The lock is held until the event loop has turned this often; a blocked one would never get there.
      if (++turns === 20) {
        other.exec("COMMIT")
        other.close()
        clearInterval(timer)
      }
    }, 1)
    const ids = Array.from({ length: 10 }, (_, i) => ExecutionId.make(`e${i}`))
    yield* Effect.all(
      ids.map((id) => store.create({ id, scopeId, status: "running", code: "" })),
      { concurrency: "unbounded" }
    )
    assert.isAtLeast(turns, 20)
    assert.lengthOf((yield* store.list(scopeId)).executions, 10)
  })
)

it.effect("gives up on a lock that is never given back, and says so", () =>
  Effect.gen(function* () {
    const file = `${yield* temporaryFolder}/executor.db`
    const store = DBExecutionStore.make(yield* SqliteAdapter.make({ file, lockWaitMillis: 50 }))
    const other = new Database(file)
    yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))
    other.exec("BEGIN IMMEDIATE")
    const create = store.create({ id: ExecutionId.make("e"), scopeId, status: "running", code: "" })
    const error = yield* Effect.flip(create)
    assert.deepInclude(error, { _tag: "DBError", reason: "unavailable" })
    assert.include(error.message, "locked")
    other.exec("ROLLBACK")
    yield* create
  })
)
