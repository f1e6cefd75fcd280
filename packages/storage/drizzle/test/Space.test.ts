import { DBExecutionStore, type ExecutionStore, ExecutionId, ScopeId } from "@executor/sdk"
import { SqliteAdapter, SqliteSpace } from "@executor/storage-drizzle"
import { assert, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect, Exit, Scope } from "effect"
import { statSync } from "node:fs"
import { temporaryFolder } from "./temporaryFolder.ts"

const newFile = Effect.map(temporaryFolder, (folder) => `${folder}/executor.db`)
const scopeId = ScopeId.make("a")
const megabyte = 1024 * 1024

const executions = 400

/** About 16 MB, in rows that are too short to be compressed. */
const fill = Effect.fnUntraced(function* (store: ExecutionStore["Service"]) {
  for (let i = 0; i < executions; i++) {
    const id = ExecutionId.make(`e${i}`)
    yield* store.create({ id, scopeId, status: "running", code: "1" })
    yield* store.update(scopeId, id, {
      status: "completed",
      completedAt: i,
      resultJson: JSON.stringify("x".repeat(40_000))
    })
  }
})

const checkpointed = (file: string): number => {
  const database = new Database(file)
  // A thread of the adapter may be at it as well.
  while (database.pragma("wal_checkpoint(TRUNCATE)", { simple: true }) !== 0);
  database.close()
  return statSync(file).size
}

it.effect("gives the space of swept executions back to the disk, with what is left sound", () =>
  Effect.gen(function* () {
    const file = yield* newFile
    const adapter = yield* SqliteAdapter.make({ file })
    const store = DBExecutionStore.make(adapter)
    yield* fill(store)
    const full = checkpointed(file)
    assert.isAbove(full, 14 * megabyte)
    yield* store.sweep(scopeId, { keepNewest: 10 })
    // Never ends if nothing is given back. Nobody asks for anything meanwhile.
    while (statSync(file).size > 3 * megabyte) yield* Effect.promise(() => new Promise(setImmediate))
    const database = new Database(file, { readonly: true })
    assert.strictEqual(database.pragma("integrity_check", { simple: true }), "ok")
    database.close()
    const { executions } = yield* store.list(scopeId, {})
    assert.strictEqual(executions.length, 10)
  })
)

/** A file as it was made before files could give space back, with most of it free. */
const oldFile = Effect.gen(function* () {
  const file = yield* newFile
  const made = new Database(file)
  made.pragma("auto_vacuum = NONE")
  made.pragma("journal_mode = WAL")
  made.close()
  const scope = yield* Scope.make()
  const store = DBExecutionStore.make(yield* Scope.provide(SqliteAdapter.make({ file, reads: "inline" }), scope))
  yield* fill(store)
  yield* store.sweep(scopeId, { keepNewest: 10 })
  yield* Scope.close(scope, Exit.void)
  return file
})

const rowids = (file: string): ReadonlyArray<unknown> => {
  const database = new Database(file, { readonly: true })
  const rows = ["execution", "execution_code"].map((table) => database.prepare(`SELECT rowid, id FROM ${table}`).all())
  database.close()
  return rows
}

it.effect(
  "enables old files to give space back, without changing the numbers of rows that the index of text knows them by",
  () =>
    Effect.gen(function* () {
      const file = yield* oldFile
      assert.strictEqual(yield* SqliteSpace.giveBack({ file }), 0)
      const before = rowids(file)
      const other = new Database(file)
      other.exec("BEGIN IMMEDIATE")
      const error = yield* Effect.flip(SqliteSpace.enable({ file, lockWaitMillis: 1 }))
      assert.deepInclude(error, { _tag: "DBError", reason: "unavailable" })
      assert.include(error.message, "kept the database locked")
      other.close()
      assert.isFalse((yield* SqliteSpace.look({ file })).canGiveBack)
      assert.isTrue(yield* SqliteSpace.enable({ file }))
      assert.isBelow(statSync(file).size, 2 * megabyte)
      assert.deepStrictEqual(rowids(file), before)
      assert.isFalse(yield* SqliteSpace.enable({ file }))
      assert.deepStrictEqual(yield* SqliteSpace.look({ file }), { freeBytes: 0, canGiveBack: true })
    })
)

it.effect("gives space back for a process that ends", () =>
  Effect.gen(function* () {
    const file = yield* newFile
    const store = DBExecutionStore.make(yield* SqliteAdapter.make({ file, reads: "inline" }))
    yield* fill(store)
    yield* store.sweep(scopeId, { keepNewest: 10 })
    assert.isAbove(yield* SqliteSpace.giveBack({ file }), 12 * megabyte)
    assert.isBelow(checkpointed(file), 3 * megabyte)
    assert.strictEqual(yield* SqliteSpace.giveBack({ file }), 0)
  })
)
