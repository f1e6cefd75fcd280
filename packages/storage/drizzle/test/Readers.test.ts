import type { DBAdapter } from "@executor/sdk"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { assert, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect, Exit, Fiber, Scope } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, statSync, writeFileSync } from "node:fs"
import { fileURLToPath, pathToFileURL } from "node:url"
import { endless, fill, manySources, sourceRow } from "./fixtures/manySources.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

const newFile = Effect.map(temporaryFolder, (folder) => `${folder}/executor.db`)
const filledFile = Effect.tap(newFile, fill)
const sources = { table: "source" } as const
const inScope = { op: "eq", column: "scope_id", value: "a" } as const

it.effect("sees in each read what was written before it was asked for", () =>
  Effect.gen(function* () {
    const adapter = yield* SqliteAdapter.make({ file: yield* newFile })
    for (let i = 1; i <= 300; i++) {
      yield* adapter.write([{ op: "insert", table: "source", rows: [sourceRow(`s${i}`)] }])
      assert.strictEqual(yield* adapter.count(sources), i)
    }
  })
)

it.effect("reads single rows at once, and lists and counts on another thread", () =>
  Effect.gen(function* () {
    const adapter = yield* SqliteAdapter.make({ file: yield* filledFile })
    const namespace = { op: "eq", column: "namespace", value: "s7" } as const
    const isAtOnce = (read: Effect.Effect<unknown, unknown>) => Exit.isSuccess(Effect.runSyncExit(read))

    assert.isTrue(isAtOnce(adapter.find({ ...sources, where: { op: "and", conditions: [inScope, namespace] } })))
    assert.isFalse(isAtOnce(adapter.find({ ...sources, where: { op: "or", conditions: [inScope, namespace] } })))
    assert.isFalse(isAtOnce(adapter.find({ ...sources, where: { op: "not", condition: namespace } })))
    assert.isFalse(isAtOnce(adapter.find({ ...sources, where: inScope })))
    assert.isFalse(isAtOnce(adapter.find({ ...sources, limit: 1 })))
    assert.isFalse(isAtOnce(adapter.count({ ...sources, where: { op: "and", conditions: [inScope, namespace] } })))

    const ofExecution = { op: "eq", column: "execution_id", value: "e7" } as const
    const calls = { table: "execution_tool_call", where: ofExecution, select: ["seq"] } as const
    const bySeq = [{ column: "seq", direction: "asc" }] as const
    assert.isTrue(isAtOnce(adapter.find({ ...calls, orderBy: bySeq, limit: 10 })))
    assert.isFalse(isAtOnce(adapter.find({ ...calls, orderBy: bySeq })))
    assert.isFalse(
      isAtOnce(adapter.find({ ...calls, orderBy: [{ column: "started_at", direction: "asc" }], limit: 10 }))
    )
  })
)

it.effect("gives long lists whole and in order", () =>
  Effect.gen(function* () {
    const adapter = yield* SqliteAdapter.make({ file: yield* filledFile })
    const list = { ...sources, orderBy: [{ column: "namespace", direction: "asc" }] } as const
    const rows = yield* adapter.find(list)
    assert.deepStrictEqual(
      rows.map((row) => row["namespace"]),
      Array.from({ length: manySources }, (_, i) => `s${i}`).toSorted()
    )
  })
)

it.effect("ends the queries of reads that are interrupted", () =>
  Effect.gen(function* () {
    const adapter = yield* SqliteAdapter.make({ file: yield* filledFile })
    // More than there can be threads: the last two wait.
    const reads = yield* Effect.forEach([1, 2, 3, 4], () =>
      Effect.forkChild(adapter.count(endless), { startImmediately: true })
    )
    yield* Fiber.interruptAll(reads)
    assert.strictEqual(yield* adapter.count(sources), manySources)
  })
)

it.effect("answers beside a query that takes long", () =>
  Effect.gen(function* () {
    const adapter = yield* SqliteAdapter.make({ file: yield* filledFile })
    yield* Effect.forkChild(adapter.count(endless), { startImmediately: true })
    assert.strictEqual(yield* adapter.count(sources), manySources)
  })
)

it.effect("replaces a thread that ends, and fails a read that has ended two", () =>
  Effect.gen(function* () {
    const file = yield* filledFile
    const readerUrl = new URL("fixtures/mortalReader.ts", import.meta.url)
    const adapter = yield* SqliteAdapter.make({ file, readerUrl })
    writeFileSync(`${file}.lives`, "1")
    assert.strictEqual(yield* adapter.count(sources), manySources)
    writeFileSync(`${file}.lives`, "2")
    const error = yield* Effect.flip(adapter.count(sources))
    assert.deepInclude(error, { _tag: "DBError", reason: "unavailable" })
    assert.include(error.message, "ended twice")
    assert.strictEqual(yield* adapter.count(sources), manySources)
  })
)

it.effect("ends with reads in flight, and leaves no log behind", () =>
  Effect.gen(function* () {
    const file = yield* filledFile
    const scope = yield* Scope.make()
    const adapter = yield* Scope.provide(SqliteAdapter.make({ file }), scope)
    assert.strictEqual(yield* adapter.count(sources), manySources)
    const reads = yield* Effect.forEach([1, 2, 3], () =>
      Effect.forkChild(Effect.flip(adapter.count(endless)), { startImmediately: true })
    )
    yield* Scope.close(scope, Exit.void)
    for (const read of reads) {
      assert.deepInclude(yield* Fiber.join(read), { _tag: "DBError", reason: "unavailable" })
    }
    assert.deepInclude(yield* Effect.flip(adapter.count(sources)), { _tag: "DBError", reason: "unavailable" })
    // The last connection removes the log: none of the threads has one any more.
    assert.isFalse(existsSync(`${file}-wal`))
  })
)

/** Gives the largest size of the log meanwhile. */
const writeMany = Effect.fnUntraced(function* (file: string, adapter: DBAdapter["Service"], writes: number) {
  let largest = 0
  const where = { op: "eq", column: "namespace", value: "s0" } as const
  for (let i = 0; i < writes; i++) {
    yield* adapter.write([
      { op: "update", table: "source", where: { op: "and", conditions: [inScope, where] }, set: { updated_at: i } }
    ])
    if (i % 100 === 0) largest = Math.max(largest, statSync(`${file}-wal`).size)
  }
  return largest
})

const megabyte = 1024 * 1024

it.effect("keeps the log short through many writes, without any read", () =>
  Effect.gen(function* () {
    const file = yield* filledFile
    const adapter = yield* SqliteAdapter.make({ file })
    // Unbounded, it would have a page of 4 KB for each, 80 MB.
    assert.isBelow(yield* writeMany(file, adapter, 20_000), 40 * megabyte)
  })
)

it.effect("keeps the log short where no thread can be started, and reads all the same", () =>
  Effect.gen(function* () {
    const file = yield* filledFile
    const adapter = yield* SqliteAdapter.make({ file, readerUrl: pathToFileURL(`${file}.none.js`) })
    assert.strictEqual(yield* adapter.count(sources), manySources)
    assert.isBelow(yield* writeMany(file, adapter, 5_000), 8 * megabyte)
    assert.strictEqual(yield* adapter.count(sources), manySources)
  })
)

it.effect("writes the log back when a long query no longer needs it", () =>
  Effect.gen(function* () {
    const file = yield* filledFile
    const adapter = yield* SqliteAdapter.make({ file })
    const other = new Database(file)
    yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))
    assert.strictEqual(yield* adapter.count(sources), manySources)
    const query = yield* Effect.forkChild(adapter.count(endless), { startImmediately: true })
    // The query has begun when the thread that is free, the second one, has answered.
    assert.strictEqual(yield* adapter.count(sources), manySources)
    assert.isAbove(yield* writeMany(file, adapter, 6_000), 20 * megabyte)
    yield* Fiber.interrupt(query)
    // Never ends if it is not written back.
    const isWaiting = (): boolean => {
      const [state] = other.pragma("wal_checkpoint(NOOP)") as ReadonlyArray<{ log: number; checkpointed: number }>
      return state === undefined || state.log - state.checkpointed > 3_000
    }
    while (isWaiting()) yield* writeMany(file, adapter, 100)
  })
)

const runLister = (...args: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const lister = fileURLToPath(new URL("fixtures/lister.ts", import.meta.url))
    const child = spawn(process.execPath, ["--conditions=@executor/source", lister, ...args], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)))
    const [code] = await once(child, "close")
    return { output, code }
  })

it.effect("keeps no process alive, and delays none that exits", () =>
  Effect.gen(function* () {
    const file = yield* filledFile
    assert.deepStrictEqual(yield* runLister(file), { output: `${manySources}\n`, code: 0 })
    assert.deepStrictEqual(yield* runLister(file, "exit"), { output: `${manySources}\n`, code: 0 })
  })
)
