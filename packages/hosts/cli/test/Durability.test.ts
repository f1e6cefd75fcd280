/**
 * How a server recovers executions: when it looks, and that one which is handed over goes on at once.
 */
import { createExecutionEngine, type RecoveryReport } from "@executor/execution"
import { recoverForever } from "@executor/host-cli"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { createExecutor, type DBAdapter, definePlugin, MemoryAdapter, tool } from "@executor/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Queue, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"

/** Longer than any test. */
const hour = 3_600_000

const code = "await tools.t.begin({}); await new Promise((done) => setTimeout(done, 600_000))"

/** An engine whose code says that it has begun. */
const engineOn = Effect.fnUntraced(function* (adapter: DBAdapter["Service"], owner: string) {
  const begun = yield* Deferred.make<void>()
  const begin = tool({ name: "begin", description: "Begins.", handler: () => Deferred.succeed(begun, undefined) })
  const staticSources = [{ namespace: "t", description: "Test tools.", tools: [begin] }]
  const plugins = [definePlugin({ id: "test", staticSources })]
  const executor = yield* createExecutor({ scopes: ["default"], adapter, plugins })
  const codeExecutor = yield* QuickJsExecutor.make({ workers: 1 })
  const engine = yield* createExecutionEngine({ executor, codeExecutor, owner, recovery: "resume" })
  return { engine, executor, begun: Deferred.await(begun) }
})

describe("recovery", () => {
  it.live("goes on at once with what another engine hands over", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const first = yield* Scope.make()
      const stopping = yield* Scope.provide(engineOn(adapter, "first"), first)
      yield* Effect.forkChild(stopping.engine.execute(code))
      yield* stopping.begun

      // Without the first ring, which only says that it listens, there is one look at the beginning.
      const next = yield* engineOn(adapter, "next")
      const reports = yield* Queue.unbounded<RecoveryReport>()
      const listens = yield* Deferred.make<void>()
      const freed = next.executor.executions.freed.pipe(
        Stream.tap(() => Deferred.succeed(listens, undefined)),
        Stream.drop(1)
      )
      const recover = Effect.tap(next.engine.recover, (report) => Queue.offer(reports, report))
      yield* Effect.forkScoped(recoverForever({ recover }, freed, hour))
      yield* Deferred.await(listens)
      assert.strictEqual((yield* Queue.take(reports)).continued, 0)

      yield* Scope.close(first, Exit.void)
      yield* Effect.repeat(Queue.take(reports), { until: ({ continued }) => continued === 1 })
      const [row] = yield* adapter.find({ table: "execution", select: ["status", "owner"] })
      assert.deepStrictEqual(row, { status: "running", owner: "next" })
    })
  )

  /** The looks of a server: told when they begin, and ended by the test. The first has begun. */
  const watch = Effect.fnUntraced(function* (freed: Stream.Stream<void>, everyMs?: number) {
    const begins = yield* Queue.unbounded<void>()
    const ends = yield* Queue.unbounded<void>()
    const looks = Effect.andThen(Queue.offer(begins, undefined), Queue.take(ends))
    const recover = Effect.as(looks, { continued: 0, ended: 0, expired: 0 })
    yield* Effect.forkScoped(recoverForever({ recover }, freed, everyMs))
    yield* Queue.take(begins)
    const begun = Queue.size(begins)
    return {
      begun,
      end: Queue.offer(ends, undefined),
      /** Lets time pass until the next begins. */
      next: Effect.andThen(
        Effect.repeat(Effect.andThen(TestClock.adjust(100), begun), { until: (count) => count > 0 }),
        Queue.take(begins)
      )
    }
  })

  it.effect("looks at its beginning, and every five seconds where nothing rings", () =>
    Effect.gen(function* () {
      const { begun, end, next } = yield* watch(Stream.never)
      yield* end
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* begun, 0)
      yield* next
    })
  )

  it.effect("looks once more for all that rings while it looks, and never twice at the same time", () =>
    Effect.gen(function* () {
      const rings = yield* Queue.unbounded<void>()
      const { begun, end, next } = yield* watch(Stream.fromQueue(rings), hour)
      yield* Queue.offerAll(rings, [undefined, undefined, undefined])
      yield* TestClock.adjust("1 second")
      yield* Queue.offer(rings, undefined)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* begun, 0)
      yield* end
      yield* next
      yield* end
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* begun, 0)
    })
  )

  it.effect("leaves some time between looks, however often it rings", () =>
    Effect.gen(function* () {
      const rings = yield* Queue.unbounded<void>()
      const { begun, end, next } = yield* watch(Stream.fromQueue(rings), hour)
      for (let i = 0; i < 100; i++) {
        yield* Queue.offer(rings, undefined)
        yield* end
        yield* TestClock.adjust(10)
      }
      // One second has passed, in which a look took no time.
      assert.isAtMost(yield* begun, 5)
      yield* next
    })
  )
})
