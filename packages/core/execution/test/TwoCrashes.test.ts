/**
 * Executions whose process is lost twice, each time between writes that were under way at once.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { DBAdapter, MemoryAdapter, tool, type WriteOperation } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { engineOf } from "./support/harness.ts"

/** A tool that ends at once for some of its calls, in this process. */
const makeWork = (...ends: ReadonlyArray<string>) =>
  tool({
    name: "work",
    description: "Works.",
    annotations: { readOnly: true },
    input: Schema.Struct({ call: Schema.String }),
    handler: ({ call }) => (ends.includes(call) ? call : Effect.never)
  })

const settles = (operations: ReadonlyArray<WriteOperation>, settleSeq: number) =>
  operations.some((operation) => operation.op === "update" && operation.set["settle_seq"] === settleSeq)

/** A process that is lost when it has written the outcome `last`, but not the outcome `held`. */
const losing = (memory: DBAdapter["Service"], { held, last }: { readonly held: number; readonly last: number }) => {
  const lost = Deferred.makeUnsafe<void>()
  let isLost = false
  const adapter = DBAdapter.of({
    ...memory,
    write: (operations) =>
      Effect.suspend(() => {
        if (isLost || settles(operations, held)) return Effect.never
        if (!settles(operations, last)) return memory.write(operations)
        isLost = true
        return Effect.andThen(memory.write(operations), Effect.andThen(Deferred.succeed(lost, undefined), Effect.never))
      })
  })
  return { adapter, lost }
}

layer(QuickJsExecutor.layer())("an execution that is lost twice", (it) => {
  it.effect("goes on although an outcome that the code had not seen was numbered as another is now", () =>
    Effect.gen(function* () {
      const memory = MemoryAdapter.make()
      // The first process has the outcomes of `d` and `c`, in this order, and writes only the second.
      const first = losing(memory, { held: 0, last: 1 })
      const a = yield* engineOf([makeWork("c", "d")], { adapter: first.adapter })
      const code = `
        const seen = []
        await Promise.all(["a", "b", "d", "c"].map((call) => tools.t.work({ call }).then((each) => seen.push(each))))
        return seen`
      yield* Effect.forkChild(a.engine.executeWithPause(code))
      yield* Deferred.await(first.lost)
      yield* TestClock.adjust("31 seconds")

      // The second has those of `a`, `b`, `d`, and then, again, of `c`, which it does not write.
      const second = losing(memory, { held: 3, last: 2 })
      const b = yield* engineOf([makeWork("a", "b", "d")], { adapter: second.adapter, recovery: "resume" })
      yield* Effect.forkChild(b.engine.recover)
      yield* Deferred.await(second.lost)
      yield* TestClock.adjust("31 seconds")

      const c = yield* engineOf([makeWork("a", "b", "c", "d")], { adapter: memory, recovery: "resume" })
      const recovered = yield* Effect.forkChild(c.engine.recover)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(recovered)
      const nextTurn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      const look = Effect.andThen(nextTurn, c.history.rows)
      const [row] = yield* Effect.repeat(look, { until: ([row]) => row?.status !== "running" })
      if (row === undefined) return assert.fail("it is not recorded")
      assert.strictEqual((yield* c.history.row(row.id)).resultJson, `["a","b","d","c"]`)
    })
  )
})
