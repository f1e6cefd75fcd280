/**
 * Looking at databases from outside, and standing in for one that cannot be opened.
 */
import { DBExecutionStore, ExecutionId, ScopeId, type WriteOperation } from "@executor/sdk"
import { DatabaseInspection, DatabaseUrl, MemoryDatabase, SqliteAdapter } from "@executor/storage-drizzle"
import { freshDatabase, runSql } from "@executor/storage-drizzle/testing"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
import { closeSync, openSync, readFileSync, statSync, writeSync } from "node:fs"
import { sourceRow } from "./fixtures/manySources.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

const scopeId = ScopeId.make("a")

const freshFile = Effect.map(temporaryFolder, (folder) => `${folder}/executor.db`)

/** Opens a database, writes an execution to it, and closes it. */
const fill = Effect.fnUntraced(function* (database: string) {
  const store = DBExecutionStore.make(yield* DatabaseUrl.open(database))
  yield* store.create({ id: ExecutionId.make("e"), scopeId, status: "running", code: "return 1" })
}, Effect.scoped)

const useFile = <A>(name: string, use: (file: Database.Database) => A): A => {
  const file = new Database(name)
  try {
    return use(file)
  } finally {
    file.close()
  }
}

const source: WriteOperation = { op: "insert", table: "source", rows: [sourceRow("github")] }

describe.each([
  { name: "SQLite", fresh: freshFile },
  { name: "Postgres", fresh: freshDatabase }
])("$name", ({ fresh, name }) => {
  it.effect("tells its size and that nothing is broken or pending", () =>
    Effect.gen(function* () {
      const database = yield* fresh
      yield* fill(database)
      const report = yield* DatabaseInspection.inspect({ database })
      assert.deepInclude(report, { damage: undefined, pendingMigrations: [] })
      assert.isAbove(report.sizeBytes, 4096)
    })
  )

  it.effect("tries a write and takes it back", () =>
    Effect.gen(function* () {
      const database = yield* fresh
      yield* fill(database)
      yield* DatabaseInspection.tryWrite({ database })
      yield* DatabaseInspection.tryWrite({ database })
      const tables =
        name === "SQLite"
          ? useFile(database, (file) =>
              file.prepare("SELECT count(*) AS count FROM sqlite_schema WHERE name = 'write_attempt'").all()
            )
          : yield* Effect.promise(() =>
              runSql(database, "SELECT count(*)::int AS count FROM executor_migration WHERE version < 1")
            )
      assert.deepStrictEqual(tables, [{ count: 0 }])
      yield* fill(database).pipe(Effect.flip)
      assert.strictEqual(yield* Effect.flatMap(DatabaseUrl.open(database), (db) => db.count({ table: "execution" })), 1)
    })
  )
})

describe("SQLite", () => {
  it.effect("names the migrations that are pending, and leaves them so", () =>
    Effect.gen(function* () {
      const database = yield* freshFile
      yield* fill(database)
      useFile(database, (file) => file.pragma("user_version = 1"))
      const { pendingMigrations } = yield* DatabaseInspection.inspect({ database })
      assert.deepStrictEqual(pendingMigrations.slice(0, 2), ["0001_slim", "0002_rollups"])
      assert.deepStrictEqual((yield* DatabaseInspection.inspect({ database })).pendingMigrations, pendingMigrations)
    })
  )

  it.effect("says what is damaged", () =>
    Effect.gen(function* () {
      const database = yield* freshFile
      yield* fill(database)
      const file = openSync(database, "r+")
      const pages = statSync(database).size / 4096
      for (let page = 2; page < pages; page++) writeSync(file, Buffer.alloc(16, 255), 0, 16, page * 4096)
      closeSync(file)
      assert.isString((yield* DatabaseInspection.inspect({ database })).damage)
    })
  )

  it.effect("has its sources in the memory that takes its place", () =>
    Effect.gen(function* () {
      const database = yield* freshFile
      const open = yield* SqliteAdapter.make({ file: database })
      yield* open.write([source])
      const before = readFileSync(database)
      const { adapter, hasSources } = yield* MemoryDatabase.open({ instead: database })
      assert.isTrue(hasSources)
      assert.deepStrictEqual(yield* adapter.find({ table: "source" }), yield* open.find({ table: "source" }))
      yield* adapter.write([{ op: "delete", table: "source", where: { op: "eq", column: "scope_id", value: "a" } }])
      assert.strictEqual(yield* open.count({ table: "source" }), 1)
      assert.deepStrictEqual(readFileSync(database), before)
    })
  )

  it.effect("is stood in for without its sources where they cannot be read", () =>
    Effect.gen(function* () {
      const missing = `${yield* freshFile}/below/a/file.db`
      const older = yield* freshFile
      yield* fill(older)
      useFile(older, (file) => file.pragma("user_version = 1"))
      for (const instead of [missing, older, "postgres://somebody@127.0.0.1:1/nothing"]) {
        const { adapter, hasSources } = yield* MemoryDatabase.open({ instead })
        assert.isFalse(hasSources)
        yield* adapter.write([source])
      }
    })
  )
})

describe("Postgres", () => {
  it.effect("may be readable and not writable", () =>
    Effect.gen(function* () {
      const database = yield* freshDatabase
      yield* fill(database)
      const name = new URL(database).pathname.slice(1)
      yield* Effect.promise(() => runSql(database, `ALTER DATABASE "${name}" SET default_transaction_read_only = on`))
      const error = yield* Effect.flip(DatabaseInspection.tryWrite({ database }))
      assert.deepInclude(error, { _tag: "DBError", reason: "readOnly" })
      assert.deepInclude(yield* DatabaseInspection.inspect({ database }), { damage: undefined, pendingMigrations: [] })
    })
  )

  it.effect("names an index that it does not use any more, and what is pending in an empty database", () =>
    Effect.gen(function* () {
      const database = yield* freshDatabase
      const { pendingMigrations, sizeBytes } = yield* DatabaseInspection.inspect({ database })
      assert.deepStrictEqual([pendingMigrations[0], sizeBytes], ["0000_init", 0])
      yield* fill(database)
      yield* Effect.promise(() =>
        runSql(database, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'execution_status'::regclass")
      )
      assert.include((yield* DatabaseInspection.inspect({ database })).damage, "REINDEX INDEX execution_status")
    })
  )

  it.effect("that is away is said to be", () =>
    Effect.gen(function* () {
      const database = "postgres://somebody:hidden@127.0.0.1:1/nothing"
      const error = yield* Effect.flip(DatabaseInspection.inspect({ database }))
      assert.deepInclude(error, { _tag: "DBError", reason: "unavailable" })
      assert.notInclude(error.message, "hidden")
    })
  )
})
