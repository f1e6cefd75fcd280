import {
  type DBAdapter,
  type DBError,
  DBExecutionStore,
  ExecutionId,
  ExecutionToolCallId,
  ScopeId
} from "@executor/sdk"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { assert, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect, Exit, Fiber, Scope } from "effect"
import { temporaryFolder } from "./temporaryFolder.ts"

interface SearchIndexLimits {
  readonly stepUnits: number
  readonly keptRows: number
  readonly keptUnits: number
}

const {
  makeSearchIndex
}: { makeSearchIndex: (database: Database.Database, limits: SearchIndexLimits) => () => boolean } = await import(
  new URL("../src/internal/searchIndex.ts", import.meta.url).href
)

const newFile = Effect.map(temporaryFolder, (folder) => `${folder}/executor.db`)
const scopeId = ScopeId.make("a")

/** What another program sees in the file. */
const use = <A>(file: string, run: (database: Database.Database) => A): A => {
  const database = new Database(file)
  try {
    return run(database)
  } finally {
    database.close()
  }
}

const long = (middle: string): string => `${"long text 😀 ".repeat(50_000)}${middle}${"more of it ".repeat(50_000)}`

/** An execution with long text in all that it has. */
const record = Effect.fnUntraced(function* (adapter: DBAdapter["Service"], name: string) {
  const store = DBExecutionStore.make(adapter)
  const id = ExecutionId.make(name)
  yield* store.create({ id, scopeId, status: "running", code: long(`code-of-${name}`) })
  const call = { id: ExecutionToolCallId.make(`${id}:0`), executionId: id, scopeId, seq: 0, toolPath: "a.b" }
  yield* store.recordToolCall({ ...call, argsJson: JSON.stringify(long(`args-of-${name}`)), startedAt: 0 })
  const resultJson = JSON.stringify(long(`result-of-${name}`))
  yield* store.update(scopeId, id, { status: "completed", resultJson, logsJson: JSON.stringify([long("log")]) })
})

const stored = (file: string) =>
  use(file, (database) =>
    database
      .prepare(
        `SELECT typeof(code) AS code, typeof(args_json) AS args, typeof(o.result_json) AS result, typeof(logs_json) AS logs,
          max(length(code), length(args_json), length(o.result_json), length(logs_json)) AS longest
        FROM execution AS e JOIN execution_code AS x ON x.id = e.code_id
        JOIN execution_output AS o ON o.execution_id = e.id JOIN execution_tool_call AS c ON c.execution_id = e.id`
      )
      .get()
  ) as Record<string, unknown>

const found = (adapter: DBAdapter["Service"], options: { readonly query?: string; readonly codeQuery?: string }) =>
  Effect.map(DBExecutionStore.make(adapter).list(scopeId, options), ({ executions }) =>
    executions.map(({ execution }) => execution.id as string).toSorted()
  )

const findsAll = Effect.fnUntraced(function* (adapter: DBAdapter["Service"]) {
  assert.deepStrictEqual(yield* found(adapter, { query: "RESULT-of-one" }), ["one"])
  assert.deepStrictEqual(yield* found(adapter, { query: "args-of-" }), ["one", "two"])
  assert.deepStrictEqual(yield* found(adapter, { query: "code-of-two" }), ["two"])
  assert.deepStrictEqual(yield* found(adapter, { codeQuery: "CODE-of-two" }), ["two"])
  assert.deepStrictEqual(yield* found(adapter, { query: "of-three" }), [])
})

it.effect("stores long text compressed, and finds it whether it is in the index or not", () =>
  Effect.gen(function* () {
    const file = yield* newFile
    const adapter = yield* SqliteAdapter.make({ file })
    yield* record(adapter, "one")
    yield* record(adapter, "two")
    const { longest, ...types } = stored(file)
    assert.deepStrictEqual(types, { code: "blob", args: "blob", result: "blob", logs: "blob" })
    assert.isBelow(Number(longest), 2_000)
    yield* findsAll(adapter)

    use(file, (database) => {
      const step = makeSearchIndex(database, { stepUnits: 65_536, keptRows: 0, keptUnits: 0 })
      while (step());
      assert.strictEqual(database.prepare("SELECT count(*) FROM execution_search_pending").pluck().get(), 0)
    })
    yield* findsAll(adapter)
  })
)

it.effect("reads and searches long text that was stored before there was compression", () =>
  Effect.gen(function* () {
    const file = yield* newFile
    const adapter = yield* SqliteAdapter.make({ file })
    yield* record(adapter, "one")
    yield* record(adapter, "two")
    use(file, (database) => {
      database.prepare("UPDATE execution_code SET code = ? || preview").run(long("code-of-two"))
      database.prepare("UPDATE execution_output SET result_json = ?").run(JSON.stringify(long("result-of-one")))
    })
    assert.deepStrictEqual(yield* found(adapter, { codeQuery: "code-of-TWO" }), ["one", "two"])
    assert.deepStrictEqual(yield* found(adapter, { query: "result-of-one" }), ["one", "two"])
    const store = DBExecutionStore.make(adapter)
    const { execution } = yield* store.get(scopeId, ExecutionId.make("two"))
    assert.isTrue(execution.resultJson === JSON.stringify(long("result-of-one")))
  })
)

const code = { table: "execution_code" } as const
const codeOf = (name: string, text: string) => ({ id: name, scope_id: "a", preview: "", code: text })

it.effect("says that a stored text is damaged, also where it is looked into", () =>
  Effect.gen(function* () {
    const file = yield* newFile
    const adapter = yield* SqliteAdapter.make({ file })
    yield* adapter.write([{ op: "insert", ...code, rows: [codeOf("one", long("x"))] }])
    const packed = use(file, (database) =>
      database.prepare<[], Buffer>("SELECT code FROM execution_code").pluck().get()
    )
    assert(packed !== undefined)
    const other = Buffer.from(packed)
    other.writeUInt8(2, 0)
    for (const bytes of [packed.subarray(0, -100), packed.subarray(0, 3), other]) {
      use(file, (database) => database.prepare("UPDATE execution_code SET code = ?").run(bytes))
      const reads: ReadonlyArray<Effect.Effect<unknown, DBError>> = [
        adapter.find({ ...code, where: { op: "eq", column: "id", value: "one" } }),
        adapter.find(code),
        adapter.count({ ...code, where: { op: "contains", column: "code", value: "x" } })
      ]
      for (const read of reads) {
        const error = yield* Effect.flip(read)
        assert.deepInclude(error, { _tag: "DBError", reason: "other" })
        assert.include(error.message, "A stored text is damaged")
      }
    }
  })
)

it.effect("has written long text that was submitted before it closed, and none that was given up", () =>
  Effect.gen(function* () {
    const file = yield* newFile
    const scope = yield* Scope.make()
    const adapter = yield* Scope.provide(SqliteAdapter.make({ file }), scope)
    const write = (name: string) =>
      Effect.forkChild(adapter.write([{ op: "insert", ...code, rows: [codeOf(name, long(name))] }]), {
        startImmediately: true
      })
    const [one, two, three] = [yield* write("one"), yield* write("two"), yield* write("three")]
    yield* Fiber.interrupt(two)
    yield* Scope.close(scope, Exit.void)
    yield* Fiber.join(one)
    yield* Fiber.join(three)
    const rows = yield* Effect.flatMap(SqliteAdapter.make({ file }), (reopened) =>
      reopened.find({ ...code, orderBy: [{ column: "id", direction: "asc" }] })
    )
    assert.deepStrictEqual(
      rows.map((row) => [row["id"], row["code"] === long(String(row["id"]))]),
      [
        ["one", true],
        ["three", true]
      ]
    )
  })
)
