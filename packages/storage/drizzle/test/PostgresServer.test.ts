import { PostgresAdapter } from "@executor/storage-drizzle"
import { freshDatabase, runSql, startPostgres } from "@executor/storage-drizzle/testing"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { connected, isAtRest, isWaiting, until } from "./postgres.ts"

const row = (namespace: string, description = "") => ({
  scope_id: "a",
  namespace,
  plugin_id: "p",
  description,
  created_at: 1,
  updated_at: 1,
  config_json: "{}"
})
const insert = (namespace: string, description?: string) =>
  ({ op: "insert", table: "source", rows: [row(namespace, description)] }) as const
const count = { op: "update", table: "source", set: { updated_at: { increment: 1 } } } as const
const named = (value: string) => ({ op: "eq", column: "namespace", value }) as const

it.effect("cancels in the server what is interrupted, and leaves nothing behind", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const adapter = yield* PostgresAdapter.make({ url })
    const other = yield* connected(url)
    const watcher = yield* connected(url)
    for (const [lock, work] of [
      ["ACCESS EXCLUSIVE", adapter.find({ table: "source" })],
      [
        "ACCESS EXCLUSIVE",
        Effect.all(
          [1, 2, 3].map(() => adapter.count({ table: "source" })),
          { concurrency: 3 }
        )
      ],
      ["SHARE", adapter.write([insert("one")])],
      [
        "SHARE",
        Effect.all(
          ["two", "three"].map((name) => adapter.write([insert(name)])),
          { concurrency: 2 }
        )
      ]
    ] as const) {
      yield* Effect.promise(() => other.query(`BEGIN; LOCK TABLE source IN ${lock} MODE`))
      const fiber = yield* Effect.forkChild(work, { startImmediately: true })
      yield* until(watcher, isWaiting)
      yield* Fiber.interrupt(fiber)
      yield* until(watcher, isAtRest)
      yield* Effect.promise(() => other.query("COMMIT"))
    }
    assert.deepStrictEqual(yield* adapter.find({ table: "source" }), [])
    yield* adapter.write([insert("four")])
    assert.strictEqual(yield* adapter.count({ table: "source" }), 1)
  })
)

it.effect("does not write what is interrupted before its turn, and writes what others submitted with it", () =>
  Effect.gen(function* () {
    const adapter = yield* PostgresAdapter.make({ url: yield* freshDatabase })
    const fiber = yield* Effect.forkChild(adapter.write([insert("one")]), { startImmediately: true })
    const other = yield* Effect.forkChild(adapter.write([insert("two")]), { startImmediately: true })
    yield* Fiber.interrupt(fiber)
    yield* Fiber.join(other)
    assert.deepStrictEqual(yield* adapter.find({ table: "source", select: ["namespace"] }), [{ namespace: "two" }])
  })
)

it.effect("finishes the writes that were submitted before it is closed, and refuses later ones", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const adapter = yield* Effect.scoped(
      Effect.tap(PostgresAdapter.make({ url }), (adapter) =>
        Effect.forkDetach(adapter.write([insert("one")]), { startImmediately: true })
      )
    )
    const closed = { _tag: "DBError", reason: "unavailable", message: "The database is closed." } as const
    assert.deepInclude(yield* Effect.flip(adapter.find({ table: "source" })), closed)
    assert.deepInclude(yield* Effect.flip(adapter.write([insert("two")])), closed)
    assert.deepStrictEqual(yield* Effect.promise(() => runSql(url, "SELECT namespace FROM source")), [
      { namespace: "one" }
    ])
  })
)

it.effect("runs a unit again that was undone because of a deadlock", () =>
  Effect.gen(function* () {
    const url = new URL(yield* freshDatabase)
    const other = yield* connected(url.href)
    url.searchParams.set("options", "-c deadlock_timeout=20ms")
    const adapter = yield* PostgresAdapter.make({ url: url.href })
    yield* adapter.write([insert("one"), insert("two")])

    // The other one never looks for deadlocks, so that it is the adapter whose transaction is undone.
    yield* Effect.promise(() => other.query("SET deadlock_timeout = '1h'; BEGIN"))
    yield* Effect.promise(() => other.query("UPDATE source SET updated_at = 10 WHERE namespace = 'two'"))
    const unit = ["one", "two"].map((name) => ({ ...count, where: named(name), expect: 1 }))
    const fiber = yield* Effect.forkChild(adapter.write(unit), { startImmediately: true })
    yield* Effect.promise(() => other.query("UPDATE source SET updated_at = 10 WHERE namespace = 'one'"))
    yield* Effect.promise(() => other.query("COMMIT"))
    assert.deepStrictEqual(yield* Fiber.join(fiber), [1, 1])
    assert.deepStrictEqual(yield* adapter.find({ table: "source", select: ["updated_at"] }), [
      { updated_at: 11 },
      { updated_at: 11 }
    ])
  })
)

it.effect("keeps the order of units, and takes back only the one that fails", () =>
  Effect.gen(function* () {
    const adapter = yield* PostgresAdapter.make({ url: yield* freshDatabase })
    const names = Array.from({ length: 200 }, (_, i) => `n${i}`)
    yield* adapter.write([insert("n100")])
    const set = (description: string) =>
      adapter.write([{ op: "update", table: "source", where: named("n100"), set: { description } }])
    const results = yield* Effect.all(
      [...names.map((name) => Effect.result(adapter.write([insert(name), insert(`${name}+`)]))), set("a"), set("b")],
      { concurrency: "unbounded" }
    )
    assert.strictEqual(results.filter((result) => "_tag" in result && result._tag === "Failure").length, 1)
    assert.strictEqual(yield* adapter.count({ table: "source" }), 399)
    assert.deepStrictEqual(yield* adapter.find({ table: "source", select: ["description"], where: named("n100") }), [
      { description: "b" }
    ])
  })
)

it.effect("keeps and finds text with U+0000 and the characters that stand for it", () =>
  Effect.gen(function* () {
    const adapter = yield* PostgresAdapter.make({ url: yield* freshDatabase })
    const units = ["\u0000", "\u0001", "\u0002", "\u0003", "\u0004", "\u0005", "\u0006", "a"]
    const texts = ["", ...units.flatMap((a) => [a, ...units.flatMap((b) => [a + b, ...units.map((c) => a + b + c)])])]
    const rows = texts.map((text, i) => row(String(i), text))
    yield* adapter.write([{ op: "insert", table: "source", rows }])
    const ordered = yield* adapter.find({
      table: "source",
      select: ["description"],
      orderBy: [{ column: "description", direction: "asc" }]
    })
    assert.deepStrictEqual(
      ordered.map((found) => found["description"]),
      texts.toSorted()
    )
    const tests = {
      contains: (text: string, value: string) => text.includes(value),
      startsWith: (text: string, value: string) => text.startsWith(value),
      endsWith: (text: string, value: string) => text.endsWith(value),
      lt: (text: string, value: string) => text < value,
      eq: (text: string, value: string) => text === value
    }
    for (const value of texts.filter((text) => text.length < 3)) {
      for (const [op, test] of Object.entries(tests)) {
        const where = { op: op as keyof typeof tests, column: "description", value }
        assert.strictEqual(
          yield* adapter.count({ table: "source", where }),
          texts.filter((text) => test(text, value)).length,
          `${op} ${JSON.stringify(value)}`
        )
      }
    }
  })
)

it.effect("fails as unavailable while the server is away, and works again when it is back", () =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(Effect.promise(startPostgres), ({ end }) => Effect.promise(end))
    const { url } = server
    const adapter = yield* PostgresAdapter.make({ url, waitMillis: 1000 })
    const patient = yield* PostgresAdapter.make({ url, waitMillis: 30_000 })
    yield* adapter.write([insert("one")])
    yield* patient.count({ table: "source" })

    // One is being written when the server goes: it may have been committed, so it is not sent again.
    const other = yield* connected(url)
    yield* Effect.promise(() => other.query("BEGIN; LOCK TABLE source IN SHARE MODE"))
    const writing = yield* Effect.forkChild(Effect.flip(patient.write([insert("two")])), { startImmediately: true })
    yield* until(yield* connected(url), isWaiting)
    yield* Effect.promise(server.stop)
    const lost = yield* Fiber.join(writing)
    assert.deepInclude(lost, { _tag: "DBError", reason: "unavailable" })
    assert.match(lost.message, /may or may not have been committed/)

    const away = { _tag: "DBError", reason: "unavailable" } as const
    assert.deepInclude(yield* Effect.flip(adapter.find({ table: "source" })), away)
    assert.deepInclude(yield* Effect.flip(adapter.write([insert("three")])), away)
    assert.match((yield* Effect.flip(adapter.count({ table: "source" }))).message, /cannot be reached.*ECONNREFUSED/)

    // These wait for it.
    const reading = yield* Effect.forkChild(patient.find({ table: "source", select: ["namespace"] }), {
      startImmediately: true
    })
    const waiting = yield* Effect.forkChild(patient.write([insert("four")]), { startImmediately: true })
    yield* Effect.promise(server.start)
    yield* Fiber.join(waiting)
    assert.include(JSON.stringify(yield* Fiber.join(reading)), "one")
    yield* adapter.write([insert("five")])
    const names = yield* adapter.find({
      table: "source",
      select: ["namespace"],
      orderBy: [{ column: "created_at", direction: "asc" }]
    })
    assert.deepStrictEqual(new Set(names.map((found) => found["namespace"])), new Set(["one", "four", "five"]))
  })
)
