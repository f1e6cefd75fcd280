import {
  coreSchema,
  DBExecutionStore,
  ExecutionId,
  ExecutionToolCallId,
  ScopeId,
  type WriteOperation
} from "@executor/sdk"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { assert, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { readMigrations } from "../embed-migrations.ts"
import * as tables from "../schema.sqlite.ts"
import { getTableConfig } from "drizzle-orm/sqlite-core"
import { temporaryFolder } from "./temporaryFolder.ts"

const scopeId = ScopeId.make("a")
const id = ExecutionId.make("e")

const toolName = (tool: string): WriteOperation => ({
  op: "insert",
  table: "tool_name",
  rows: [{ scope_id: scopeId, tool }]
})

const messageOf = (file: string) => Effect.map(Effect.flip(Effect.scoped(SqliteAdapter.make({ file }))), String)

it.effect("keeps what was written when it is opened again", () =>
  Effect.gen(function* () {
    const file = `${yield* temporaryFolder}/executor.db`
    const create = Effect.flatMap(SqliteAdapter.make({ file }), (adapter) =>
      DBExecutionStore.make(adapter).create({ id, scopeId, status: "running", code: "return 1" })
    )
    const created = yield* Effect.scoped(create)
    const adapter = yield* SqliteAdapter.make({ file })
    const store = DBExecutionStore.make(adapter)
    assert.deepStrictEqual((yield* store.get(scopeId, id)).execution, created)
    const call = { id: ExecutionToolCallId.make("c"), executionId: id, scopeId, seq: 0, toolPath: "a.b" }
    yield* store.recordToolCall({ ...call, argsJson: null, startedAt: 0 })
    yield* adapter.write([{ op: "delete", table: "execution", where: { op: "eq", column: "id", value: id } }])
    assert.strictEqual(yield* adapter.count({ table: "execution_tool_call" }), 0)
  })
)

it.effect("makes its files readable by their owner only", () =>
  Effect.gen(function* () {
    const file = `${yield* temporaryFolder}/executor.db`
    const store = DBExecutionStore.make(yield* SqliteAdapter.make({ file }))
    yield* store.create({ id, scopeId, status: "running", code: "" })
    for (const name of [file, `${file}-wal`, `${file}-shm`]) assert.strictEqual(statSync(name).mode & 0o777, 0o600)
  })
)

it.effect("finishes the writes that were submitted before it is closed, and refuses later ones", () =>
  Effect.gen(function* () {
    const file = `${yield* temporaryFolder}/executor.db`
    const adapter = yield* Effect.scoped(
      Effect.tap(SqliteAdapter.make({ file }), (adapter) =>
        Effect.forkDetach(adapter.write([toolName("a.b")]), { startImmediately: true })
      )
    )
    const store = DBExecutionStore.make(adapter)
    assert.deepInclude(yield* Effect.flip(store.get(scopeId, id)), { _tag: "DBError", reason: "unavailable" })
    assert.deepInclude(yield* Effect.flip(store.update(scopeId, id, {})), { _tag: "DBError", reason: "unavailable" })
    const reopened = yield* SqliteAdapter.make({ file })
    assert.strictEqual(yield* reopened.count({ table: "tool_name" }), 1)
  })
)

it.effect("does not write what is interrupted before its turn", () =>
  Effect.gen(function* () {
    const adapter = yield* SqliteAdapter.make({ file: ":memory:" })
    const fiber = yield* Effect.forkChild(adapter.write([toolName("a.b")]), { startImmediately: true })
    fiber.interruptUnsafe()
    yield* adapter.write([toolName("a.c")])
    assert.deepStrictEqual(yield* adapter.find({ table: "tool_name", select: ["tool"] }), [{ tool: "a.c" }])
  })
)

it.effect("refuses a database of a newer version, of another program, and what is none", () =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const newer = `${folder}/newer.db`
    yield* Effect.scoped(SqliteAdapter.make({ file: newer }))
    const change = (file: string, sql: string) => {
      const database = new Database(file)
      database.exec(sql)
      database.close()
    }
    change(newer, "PRAGMA user_version = 999")
    assert.match(yield* messageOf(newer), /newer\.db cannot be opened.*newer version of Executor.*schema 999.*update/)

    const other = `${folder}/other.db`
    change(other, "CREATE TABLE notes (text)")
    assert.match(yield* messageOf(other), /other\.db cannot be opened.*another program/)
    assert.strictEqual(new Database(other).pragma("journal_mode", { simple: true }), "delete")

    const text = `${folder}/text.db`
    writeFileSync(text, "not a database, but long enough to be looked at ".repeat(100))
    assert.match(yield* messageOf(text), /text\.db cannot be opened.*not a database/)
    assert.match(readFileSync(text, "utf8"), /^not a database/)
  })
)

it.effect("brings a database of the first version up to date, with all that is in it", () =>
  Effect.gen(function* () {
    const file = `${yield* temporaryFolder}/executor.db`
    const old = new Database(file)
    old.exec(readMigrations("sqlite")[0]?.sql ?? "")
    old.pragma(`application_id = ${0x45786563}`)
    old.pragma("user_version = 1")
    const insert = old.prepare(
      `INSERT INTO execution (id, scope_id, status, tool_call_count, interaction_count, created_at, updated_at, seed,
        epoch, journal_complete, trigger_meta_json, code, result_json)
       VALUES (?, 'a', 'failed', 2, 0, 7, 7, 1, 0, 1, ?, ?, ?)`
    )
    insert.run("e", `{"client":{"name":"inspector"}}`, "return 'é'", "1")
    insert.run("f", "no json", "return 'é'", null)
    const insertCall = old.prepare(
      `INSERT INTO execution_tool_call (id, execution_id, scope_id, seq, status, tool_path, namespace, idempotency_key,
        started_at) VALUES (?, 'e', 'a', ?, ?, ?, ?, '', 7)`
    )
    insertCall.run("c0", 0, "failed", "github.issues.create", "github")
    insertCall.run("c1", 1, "completed", "ping", "ping")
    old.close()

    const adapter = yield* SqliteAdapter.make({ file })
    const store = DBExecutionStore.make(adapter)
    const { execution } = yield* store.get(scopeId, id)
    assert.deepInclude(execution, { code: "return 'é'", resultJson: "1", toolCallCount: 2, createdAt: 7, seed: 1 })
    assert.strictEqual(yield* adapter.count({ table: "execution_code" }), 1)
    yield* store.create({ id: ExecutionId.make("g"), scopeId, status: "running", code: "return 'é'" })
    assert.strictEqual(yield* adapter.count({ table: "execution_code" }), 1)
    const page = yield* store.list(scopeId, { toolPathFilter: ["github.*", "*in*"], includeMeta: true })
    assert.deepStrictEqual(
      page.executions.map(({ execution }) => execution.id),
      [id]
    )
    assert.deepStrictEqual(
      yield* adapter.find({
        table: "execution",
        select: ["trigger_client", "failed_call_count"],
        where: { op: "eq", column: "id", value: id }
      }),
      [{ trigger_client: "inspector", failed_call_count: 1 }]
    )
    assert.deepStrictEqual(
      (yield* store.listToolCalls(scopeId, id)).map(({ toolPath }) => toolPath),
      ["github.issues.create", "ping"]
    )
  })
)

it.effect("says why a file cannot be opened", () =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    assert.match(
      yield* messageOf(`${folder}/none/executor.db`),
      /none\/executor\.db cannot be opened.*folder does not exist/
    )
    mkdirSync(`${folder}/folder`)
    assert.match(yield* messageOf(`${folder}/folder`), /it is a folder/)
  })
)

it("has the migrations of the folder embedded", async () => {
  const { migrations } = await import(new URL("../src/internal/sqliteMigrations.ts", import.meta.url).href)
  assert.deepStrictEqual(migrations, readMigrations("sqlite"))
})

it.effect("has in the database what the schema and the Drizzle tables say", () =>
  Effect.gen(function* () {
    const file = `${yield* temporaryFolder}/executor.db`
    yield* SqliteAdapter.make({ file })
    const database = new Database(file)
    yield* Effect.addFinalizer(() => Effect.sync(() => database.close()))
    const types = { text: "TEXT", integer: "INTEGER", boolean: "INTEGER" }
    for (const [name, table] of Object.entries(coreSchema)) {
      const columns = database
        .prepare('SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)')
        .all(name)
      // A column that was added later is the last of its table.
      assert.sameDeepMembers(
        columns,
        Object.entries(table.columns).map(([column, { type, ...rest }]) => ({
          name: column,
          type: types[type],
          notnull: "nullable" in rest ? 0 : 1,
          dflt_value: null,
          pk: table.primaryKey.findIndex((key) => key === column) + 1,
          // 2 is a column that is computed when it is read.
          hidden: "generated" in rest ? 2 : 0
        }))
      )
      const drizzle = Object.values(tables)
        .map(getTableConfig)
        .find((config) => config.name === name)
      assert.deepStrictEqual(
        drizzle?.columns.map((column) => [column.name, column.notNull, column.getSQLType()] as const),
        Object.entries(table.columns).map(
          ([column, { type, ...rest }]) => [column, !("nullable" in rest), types[type].toLowerCase()] as const
        )
      )
      const indexes = database
        .prepare("SELECT name, \"unique\" FROM pragma_index_list(?) WHERE origin = 'c' AND name <> 'tool_set_key'")
        .all(name)
      assert.deepStrictEqual(
        new Set(indexes.map((index) => JSON.stringify(index))),
        new Set(table.indexes.map((index) => JSON.stringify({ name: index.name, unique: "unique" in index ? 1 : 0 })))
      )
      for (const index of table.indexes) {
        assert.deepStrictEqual(database.prepare("SELECT name FROM pragma_index_info(?)").pluck().all(index.name), [
          ...index.columns
        ])
      }
      const keys = database.prepare('SELECT "from", "table", "to", on_delete FROM pragma_foreign_key_list(?)').all(name)
      assert.deepStrictEqual(
        keys,
        ("foreignKeys" in table ? table.foreignKeys : []).map((key) => ({
          from: key.column,
          table: key.table,
          to: key.references,
          on_delete: ("onDelete" in key ? key.onDelete : "cascade").toUpperCase()
        }))
      )
    }
  })
)
