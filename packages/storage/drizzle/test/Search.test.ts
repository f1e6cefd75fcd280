import { DBAdapter, DBExecutionStore, ExecutionId, ExecutionToolCallId, ScopeId } from "@executor/sdk"
import { historyProperties } from "@executor/sdk/testing"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
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

const opened = (file: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new Database(file)),
    (database) => Effect.sync(() => database.close())
  )

/** An adapter whose index has everything, in small pieces, each time that something is read. */
const indexed = (limits: SearchIndexLimits) =>
  Effect.gen(function* () {
    const file = yield* newFile
    const adapter = yield* SqliteAdapter.make({ file, reads: "inline" })
    const step = makeSearchIndex(yield* opened(file), limits)
    const index = Effect.sync(() => {
      while (step());
    })
    return DBAdapter.of({
      ...adapter,
      find: (options) => Effect.andThen(index, adapter.find(options)),
      count: (options) => Effect.andThen(index, adapter.count(options)),
      countBy: (options) => Effect.andThen(index, adapter.countBy(options))
    })
  })

describe("with all text indexed", () => {
  historyProperties(indexed({ stepUnits: 65_536, keptRows: 0, keptUnits: 0 }))
})
describe("with all text indexed in pieces", () => {
  historyProperties(indexed({ stepUnits: 1000, keptRows: 0, keptUnits: 0 }))
})

const scopeId = ScopeId.make("a")
const all: SearchIndexLimits = { stepUnits: 64 * 1024, keptRows: 0, keptUnits: 0 }

const ended = Effect.fnUntraced(function* (adapter: DBAdapter["Service"], name: string, argsJson: string) {
  const store = DBExecutionStore.make(adapter)
  const id = ExecutionId.make(name)
  yield* store.create({ id, scopeId, status: "running", code: `return "${name}"` })
  const call = { id: ExecutionToolCallId.make(`${id}:0`), executionId: id, scopeId, seq: 0, toolPath: "a.b" }
  yield* store.recordToolCall({ ...call, argsJson, startedAt: 0 })
  yield* store.update(scopeId, id, { status: "completed", durationMs: 1 })
})

/** By a page so long that the index is asked at once. */
const found = (adapter: DBAdapter["Service"], query: string) =>
  Effect.map(DBExecutionStore.make(adapter).list(scopeId, { query, limit: 100 }), ({ executions }) =>
    executions.map(({ execution }) => execution.id as string).toSorted()
  )

it.effect("searches in the index, and in what is not in it yet", () =>
  Effect.gen(function* () {
    const file = yield* newFile
    const adapter = yield* SqliteAdapter.make({ file })
    const database = yield* opened(file)
    const pending = database.prepare("SELECT count(*) FROM execution_search_pending").pluck()
    for (let i = 0; i < 40; i++) yield* ended(adapter, `e${i}`, `{"value":"needle-${i % 4}-in-hay"}`)
    assert.strictEqual((yield* found(adapter, "NEEDLE-3-in")).length, 10)
    assert.strictEqual(pending.get(), 40)
    const step = makeSearchIndex(database, all)
    while (step());
    assert.strictEqual(pending.get(), 0)
    assert.strictEqual((yield* found(adapter, "NEEDLE-3-in")).length, 10)
    // Proves that the index is asked: without it, what it has is not found.
    database.exec("DELETE FROM execution_search_document")
    assert.deepStrictEqual(yield* found(adapter, "NEEDLE-3-in"), [])
    yield* ended(adapter, "late", `{"value":"needle-3-in-hay"}`)
    assert.deepStrictEqual(yield* found(adapter, "NEEDLE-3-in"), ["late"])
  })
)

it.effect("finds a text wherever it is in a long one, and gives up what is deleted", () =>
  Effect.gen(function* () {
    const file = yield* newFile
    const adapter = yield* SqliteAdapter.make({ file })
    const database = yield* opened(file)
    const number = (i: number) => `<${String(i).padStart(6, "0")}>😀`
    yield* ended(adapter, "long", JSON.stringify(Array.from({ length: 100_000 }, (_, i) => number(i)).join("")))
    const step = makeSearchIndex(database, all)
    while (step());
    for (const i of [0, 1, 6_553, 6_554, 32_768, 50_000, 99_998]) {
      assert.deepStrictEqual(yield* found(adapter, number(i) + number(i + 1)), ["long"])
    }
    for (let i = 6_400; i < 6_600; i++) assert.deepStrictEqual(yield* found(adapter, number(i)), ["long"])
    const documents = database.prepare("SELECT count(*) FROM execution_search_docsize").pluck()
    assert.isAbove(Number(documents.get()), 10)
    yield* adapter.write([{ op: "delete", table: "execution", where: { op: "eq", column: "id", value: "long" } }])
    while (step());
    assert.strictEqual(documents.get(), 0)
  })
)

it.effect("finds the same after a vacuum", () =>
  Effect.gen(function* () {
    const file = yield* newFile
    const adapter = yield* SqliteAdapter.make({ file })
    const database = yield* opened(file)
    for (let i = 0; i < 100; i++) yield* ended(adapter, `e${i}`, `{"value":"needle-${i % 10}-in-hay"}`)
    const step = makeSearchIndex(database, all)
    while (step());
    const odd = Array.from({ length: 50 }, (_, i) => `e${i * 2 + 1}`)
    yield* adapter.write([{ op: "delete", table: "execution", where: { op: "in", column: "id", values: odd } }])
    while (step());
    database.exec("VACUUM")
    assert.deepStrictEqual(yield* found(adapter, "needle-4-in"), [
      "e14",
      "e24",
      "e34",
      "e4",
      "e44",
      "e54",
      "e64",
      "e74",
      "e84",
      "e94"
    ])
  })
)

it.effect("keeps the index current by itself while searches come", () =>
  Effect.gen(function* () {
    const file = yield* newFile
    const adapter = yield* SqliteAdapter.make({ file })
    const database = yield* opened(file)
    const pending = database.prepare("SELECT count(*) FROM execution_search_pending").pluck()
    for (let i = 0; i < 600; i++) yield* ended(adapter, `e${i}`, `{"value":"needle-${i}-in-hay"}`)
    assert.deepStrictEqual(yield* found(adapter, "needle-7-in"), ["e7"])
    while (Number(pending.get()) > 300) assert.deepStrictEqual(yield* found(adapter, "needle-7-in"), ["e7"])
  })
)

it.effect("does nothing twice, and nothing by halves, where two connections index at once", () =>
  Effect.gen(function* () {
    const file = yield* newFile
    const adapter = yield* SqliteAdapter.make({ file })
    const [one, two] = [yield* opened(file), yield* opened(file)]
    for (let i = 0; i < 60; i++) yield* ended(adapter, `e${i}`, `{"value":"needle-${i % 3}-in-hay ${"x".repeat(100)}"}`)
    const steps = [makeSearchIndex(one, { ...all, stepUnits: 500 }), makeSearchIndex(two, { ...all, stepUnits: 500 })]
    while (steps.map((step) => step()).includes(true))
      assert.strictEqual((yield* found(adapter, "needle-1-in")).length, 20)
    assert.strictEqual((yield* found(adapter, "needle-1-in")).length, 20)
    assert.isBelow(Number(one.prepare("SELECT count(*) FROM execution_search_docsize").pluck().get()), 40)
  })
)
