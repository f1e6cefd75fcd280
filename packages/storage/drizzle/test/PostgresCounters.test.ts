/**
 * The counters on Postgres while many changes wait to be applied: exact for every reader, applied in steps by one process at a time,
 * and without any reader in the background.
 */
import { DBExecutionStore, type DBAdapter, ExecutionId, ScopeId } from "@executor/sdk"
import { PostgresAdapter, Rollups } from "@executor/storage-drizzle"
import { freshDatabase } from "@executor/storage-drizzle/testing"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import type { Client } from "pg"
import { connected, isAtRest, isWaiting, until } from "./postgres.ts"

const scope = ScopeId.make("a")

/** Executions that ended while nobody applied changes: of several hours, statuses, triggers and tools. */
const endMany = (client: Client, count: number) =>
  Effect.promise(() =>
    client.query(`
      INSERT INTO execution_code VALUES ('c', 'a', '1', '1') ON CONFLICT DO NOTHING;
      INSERT INTO execution (id, scope_id, status, trigger_kind, trigger_client, tool_call_count, failed_call_count, in_doubt_call_count,
        interaction_count, size, created_at, updated_at, seed, epoch, journal_complete, code_id)
        SELECT 'e' || i, 'a', 'running', CASE WHEN i % 3 > 0 THEN 'mcp' END, CASE WHEN i % 3 = 1 THEN 'inspector' END, i % 3, 0, 0,
          0, 7, i * 1000, 0, 0, 0, TRUE, 'c' FROM generate_series(1, ${count}) AS i;
      INSERT INTO execution_tool (execution_id, tool, scope_id, created_at)
        SELECT 'e' || i, t, 'a', i * 1000 FROM generate_series(1, ${count}) AS i, unnest(ARRAY['github.*', 'github.get' || i % 2]) AS t
        WHERE i % 3 > 0;
      UPDATE execution SET status = CASE WHEN substr(id, 2)::int % 10 = 0 THEN 'failed' ELSE 'completed' END,
        duration_ms = 5, duration_bin = length(id)`)
  )

const number = (client: Client, text: string) =>
  Effect.promise(async () =>
    Number((await client.query<{ number: string }>(`SELECT ${text} AS number`)).rows[0]?.number)
  )

const waiting = "(SELECT count(*) FROM rollup_change)"

/** Ends an execution through the store. */
const endOne = Effect.fnUntraced(function* (adapter: DBAdapter["Service"], name: string) {
  const store = DBExecutionStore.make(adapter)
  const id = ExecutionId.make(name)
  yield* store.create({ id, scopeId: scope, status: "running", code: "2", createdAt: 1 })
  yield* store.update(scope, id, { status: "completed", completedAt: 2, durationMs: 1 })
})

const listMeta = (adapter: DBAdapter["Service"]) =>
  Effect.map(DBExecutionStore.make(adapter).list(scope, { includeMeta: true }), ({ meta }) => meta)

/** The counters are what the executions say, in every table of them. */
const assertExact = Effect.fnUntraced(function* (database: string) {
  assert.deepStrictEqual(yield* Rollups.check({ database }), [])
  for (const { removed, table, written } of yield* Rollups.repair({ database })) {
    assert.deepStrictEqual([table, removed, written], [table, 0, 0])
  }
})

it.effect("counts all that was committed before, for readers of two processes at once and beside a writer", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const [one, two] = yield* Effect.all([PostgresAdapter.make({ url }), PostgresAdapter.make({ url })])
    yield* endMany(yield* connected(url), 20_000)
    const writing = Effect.forEach(
      Array.from({ length: 20 }, (_, i) => `w${i}`),
      (name) => endOne(one, name)
    )
    const [metas] = yield* Effect.all(
      [Effect.all([one, two, one, two, two].map(listMeta), { concurrency: "unbounded" }), writing],
      { concurrency: "unbounded" }
    )
    for (const meta of metas) {
      assert.strictEqual(meta?.statusCounts.failed, 2_000)
      assert.isAtLeast(meta?.statusCounts.completed ?? 0, 18_000)
      assert.isAtMost(meta?.statusCounts.completed ?? 0, 18_020)
    }
    const meta = yield* listMeta(two)
    assert.strictEqual(meta?.totalRowCount, 20_020)
    assert.strictEqual(meta?.statusCounts.completed, 18_020)
    assert.deepStrictEqual(
      meta?.toolFacets.map(({ count, toolPath }) => [toolPath, count]),
      [
        ["github.get0", 6_667],
        ["github.get1", 6_667]
      ]
    )
    yield* assertExact(url)
  })
)

it.effect("applies in steps of at most so many changes, one process at a time, and does not wait for another", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* Effect.scoped(PostgresAdapter.make({ url }))
    const [client, other] = yield* Effect.all([connected(url), connected(url)])
    yield* endMany(client, 2_500)
    const step = (client: Client, most: number, upTo: string | null) =>
      Effect.promise(async () => {
        const { rows } = await client.query("SELECT applied, up_to FROM executor_apply_some($1, $2)", [most, upTo])
        return { applied: Number(rows[0].applied), upTo: rows[0].up_to as string | null }
      })

    yield* Effect.promise(() => client.query("BEGIN"))
    const first = yield* step(client, 1_000, null)
    assert.strictEqual(first.applied, 1_000)
    const refused = yield* step(other, 1_000, null)
    assert.deepStrictEqual(refused, { applied: 0, upTo: first.upTo })
    assert.strictEqual(yield* number(other, waiting), 2_500)
    yield* Effect.promise(() => client.query("COMMIT"))
    assert.strictEqual(yield* number(other, waiting), 1_500)

    const second = yield* step(other, 1_000, refused.upTo)
    assert.deepStrictEqual(second, { applied: 1_000, upTo: first.upTo })
    // What ends later does not keep a reader who asked before.
    yield* Effect.promise(() => client.query("UPDATE execution SET size = 8 WHERE id = 'e7'"))
    assert.deepStrictEqual(yield* step(other, 500, second.upTo), { applied: 500, upTo: null })
    assert.deepStrictEqual(yield* step(other, 1_000, null), { applied: 2, upTo: null })
    assert.deepStrictEqual(yield* step(other, 1_000, null), { applied: 0, upTo: null })
    yield* Effect.promise(() => client.query("DELETE FROM execution WHERE id > 'e1'"))
    assert.isAbove(yield* number(client, waiting), 1_000)
    assert.deepStrictEqual(yield* Rollups.check({ database: url }), [])
    yield* assertExact(url)
    assert.strictEqual(yield* number(client, waiting), 0)
    assert.strictEqual(yield* number(client, "(SELECT sum(executions) FROM execution_rollup WHERE period = 0)"), 1)
  })
)

it.effect("applies all for a process of the version before, which waits for the step of another", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const adapter = yield* PostgresAdapter.make({ url })
    const [client, old, watcher] = yield* Effect.all([connected(url), connected(url), connected(url)])
    yield* endMany(client, 2_500)
    yield* Effect.promise(() => client.query("BEGIN; SELECT executor_apply_some(1000, NULL)"))
    const applying = yield* Effect.forkChild(
      Effect.promise(() => old.query("SELECT executor_apply_changes()")),
      { startImmediately: true }
    )
    yield* until(watcher, isWaiting)
    yield* Effect.promise(() => client.query("COMMIT"))
    yield* Fiber.join(applying)
    assert.strictEqual(yield* number(client, waiting), 0)
    assert.strictEqual((yield* listMeta(adapter))?.statusCounts.completed, 2_250)
    yield* assertExact(url)
  })
)

it.effect("applies what executions leave when they end, and what waits already, without any reader", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const adapter = yield* PostgresAdapter.make({ url })
    const client = yield* connected(url)
    yield* endMany(client, 20_000)
    yield* endOne(adapter, "w")
    yield* until(client, `${waiting} = 0`)
    assert.strictEqual(yield* number(client, "(SELECT sum(executions) FROM execution_rollup WHERE period = 0)"), 20_001)
    yield* Effect.promise(() => client.query("UPDATE execution SET size = 8 WHERE id <> 'w'"))
    yield* adapter.write([{ op: "delete", table: "execution", where: { op: "eq", column: "id", value: "w" } }])
    yield* until(client, `${waiting} = 0`)
    yield* assertExact(url)
  })
)

it.effect("tries again in the background after a failure", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const adapter = yield* PostgresAdapter.make({ url })
    const client = yield* connected(url)
    const failures = "(SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database())"
    const before = yield* number(client, failures)
    yield* Effect.promise(() => client.query("ALTER TABLE tool_rollup RENAME TO elsewhere"))
    yield* endOne(adapter, "w")
    yield* until(client, `${failures} > ${before}`)
    yield* Effect.promise(() => client.query("ALTER TABLE elsewhere RENAME TO tool_rollup"))
    yield* until(client, `${waiting} = 0`)
    yield* assertExact(url)
  })
)

it.effect("keeps no writer waiting while it applies, and leaves a step that is not done when it is closed", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const own = yield* Scope.make()
    const adapter = yield* Scope.provide(PostgresAdapter.make({ url }), own)
    const [client, watcher] = yield* Effect.all([connected(url), connected(url)])
    yield* endMany(client, 2_500)
    yield* Effect.promise(() => client.query("BEGIN; LOCK TABLE execution_rollup IN SHARE MODE"))
    yield* endOne(adapter, "w0")
    yield* until(watcher, isWaiting)
    yield* endOne(adapter, "w1")
    yield* Scope.close(own, Exit.void)
    yield* until(watcher, isAtRest)
    assert.strictEqual(yield* number(watcher, waiting), 2_502)
    yield* Effect.promise(() => client.query("COMMIT"))
    const next = yield* PostgresAdapter.make({ url })
    assert.strictEqual((yield* listMeta(next))?.totalRowCount, 2_502)
    yield* assertExact(url)
  })
)
