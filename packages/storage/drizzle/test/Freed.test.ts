/**
 * That adapters of one database hear of executions that another gives up.
 */
import { DBExecutionStore, ExecutionId, ScopeId } from "@executor/sdk"
import { adapterFreed, listenTo } from "@executor/sdk/testing"
import { PostgresAdapter, SqliteAdapter } from "@executor/storage-drizzle"
import { freshDatabase } from "@executor/storage-drizzle/testing"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Queue, Stream } from "effect"
import type { Client } from "pg"
import { connected } from "./postgres.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

adapterFreed(
  "two SqliteAdapters on a file",
  Effect.gen(function* () {
    const file = `${yield* temporaryFolder}/executor.db`
    return { listening: yield* SqliteAdapter.make({ file }), releasing: yield* SqliteAdapter.make({ file }) }
  })
)

adapterFreed(
  "two PostgresAdapters on a database",
  Effect.gen(function* () {
    const url = yield* freshDatabase
    return { listening: yield* PostgresAdapter.make({ url }), releasing: yield* PostgresAdapter.make({ url }) }
  })
)

const listeners = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"

/** The processes of the server that listen for somebody, when there are as many as wanted. */
const listening = (client: Client, wanted: number) =>
  Effect.promise(async () => (await client.query<{ pid: number }>(`SELECT pid ${listeners}`)).rows).pipe(
    Effect.repeat({ until: ({ length }) => length === wanted })
  )

const scopeId = ScopeId.make("a")
const id = ExecutionId.make("e1")
const running = { id, scopeId, status: "running", code: "1", owner: "p", leaseUntil: 2_000 } as const

it.effect("listens again on Postgres when its connection is lost, and rings as it may have missed something", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const adapter = yield* PostgresAdapter.make({ url })
    const store = DBExecutionStore.make(yield* PostgresAdapter.make({ url }))
    yield* store.create(running)
    const rings = yield* listenTo(adapter)
    const watcher = yield* connected(url)
    yield* Effect.promise(() => watcher.query(`SELECT pg_terminate_backend(pid) ${listeners}`))
    yield* Queue.take(rings)
    yield* store.release(scopeId, id, 0)
    yield* Queue.take(rings)
  })
)

it.effect("listens on Postgres with one connection beside those that read, and only while somebody wants to hear", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const adapter = yield* PostgresAdapter.make({ url, connections: 1 })
    const watcher = yield* connected(url)
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* listenTo(adapter)
        yield* listenTo(adapter)
        yield* listening(watcher, 1)
        assert.strictEqual(yield* adapter.count({ table: "execution" }), 0)
      })
    )
    yield* listening(watcher, 0)
  })
)

it.effect("tells on Postgres only of executions that somebody has to go on with", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const store = DBExecutionStore.make(yield* PostgresAdapter.make({ url }))
    yield* store.create(running)
    const client = yield* connected(url)
    const told = yield* Queue.unbounded<string | undefined>()
    client.on("notification", ({ payload }) => Queue.offerUnsafe(told, payload))
    yield* Effect.promise(() => client.query("LISTEN executor_freed"))
    yield* store.renewLeases(scopeId, "p", [id], 3_000)
    yield* store.update(scopeId, id, { status: "waiting_for_interaction" }, 0)
    yield* store.release(scopeId, id, 0)
    const epoch = yield* store.claim(scopeId, id, { owner: "p", at: 4_000, leaseUntil: 5_000 })
    yield* store.update(scopeId, id, { status: "completed", leaseUntil: null }, epoch)
    yield* store.create({ ...running, id: ExecutionId.make("e2") })
    yield* store.release(scopeId, ExecutionId.make("e2"), 0)
    // It is told in the order of the commits.
    yield* Effect.promise(() => client.query("NOTIFY executor_freed, 'the end'"))
    const all: Array<string | undefined> = []
    while (all.at(-1) !== "the end") all.push(yield* Queue.take(told))
    assert.deepStrictEqual(all, ["", "the end"])
  })
)

it.effect("interrupts those who listen when the adapter is closed", () =>
  Effect.gen(function* () {
    const file = `${yield* temporaryFolder}/executor.db`
    const listener = yield* Effect.scoped(
      Effect.gen(function* () {
        const { freed } = yield* SqliteAdapter.make({ file })
        const listens = yield* Deferred.make<void>()
        const listener = yield* Effect.forkChild(Stream.runForEach(freed, () => Deferred.succeed(listens, undefined)))
        yield* Deferred.await(listens)
        return listener
      })
    )
    assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(listener)))
  })
)
