/**
 * What is hard to continue: executions whose process is lost twice, between writes that were under way at once; those that wait for a person
 * and a timer; and forks of what is there no more.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { DBAdapter, ExecutionId, MemoryAdapter, tool, type WriteOperation } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { engineOf, type historyOf, nextTurn, paused } from "./support/harness.ts"

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
  let isOver = false
  const adapter = DBAdapter.of({
    ...memory,
    write: (operations) =>
      Effect.suspend(() => {
        if (isOver) return memory.write(operations)
        if (isLost || settles(operations, held)) return Effect.never
        if (!settles(operations, last)) return memory.write(operations)
        isLost = true
        return Effect.andThen(memory.write(operations), Effect.andThen(Deferred.succeed(lost, undefined), Effect.never))
      })
  })
  /** Writes are answered again when the scope closes: an end that is not written is tried once more then. */
  const answersAtLast = Effect.addFinalizer(() => Effect.sync(() => (isOver = true)))
  return { adapter, lost, answersAtLast }
}

/** The calls that have an outcome, in the order in which the code sees it. */
const inOrder = ({ history }: { readonly history: ReturnType<typeof historyOf> }, id = ExecutionId.make("")) =>
  Effect.map(history.calls(id), (calls) =>
    calls
      .filter(({ settleSeq }) => settleSeq !== null)
      .toSorted((a, b) => Number(a.settleSeq) - Number(b.settleSeq))
      .map(({ argsJson }) => JSON.parse(argsJson ?? "{}").call)
  )

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

      // The second has those of `a`, `b`, and then of `d` and, again, of `c`, in either order: it writes only the first of these.
      const second = losing(memory, { held: 3, last: 2 })
      const b = yield* engineOf([makeWork("a", "b", "d")], { adapter: second.adapter, recovery: "resume" })
      yield* second.answersAtLast
      yield* Effect.forkChild(b.engine.recover)
      yield* Deferred.await(second.lost)
      const seen = yield* Effect.flatMap(b.history.rows, ([row]) => inOrder(b, row?.id))
      assert.deepStrictEqual(seen.slice(0, 2), ["a", "b"])
      yield* TestClock.adjust("31 seconds")

      const c = yield* engineOf([makeWork("a", "b", "c", "d")], { adapter: memory, recovery: "resume" })
      const recovered = yield* Effect.forkChild(c.engine.recover)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(recovered)
      const look = Effect.andThen(nextTurn, c.history.rows)
      const [row] = yield* Effect.repeat(look, { until: ([row]) => row?.status !== "running" })
      if (row === undefined) return assert.fail("it is not recorded")
      const last = seen[2] === "d" ? "c" : "d"
      assert.strictEqual((yield* c.history.row(row.id)).resultJson, JSON.stringify([...seen.slice(0, 3), last]))
      assert.deepStrictEqual(yield* inOrder(c, row.id), [...seen.slice(0, 3), last])
    })
  )
})

layer(QuickJsExecutor.layer())("an execution that waits for a person or a timer", (it) => {
  const guarded = tool({ name: "guarded", description: "Asks.", requiresApproval: true, handler: () => "approved" })
  const code = `
    const late = new Promise((resolve) => setTimeout(() => resolve("late"), 1000))
    return await Promise.race([tools.t.guarded(), late])`
  const endsLate = Effect.fnUntraced(function* (adapter: DBAdapter["Service"]) {
    const b = yield* engineOf([guarded], { adapter, recovery: "resume" })
    const recovered = yield* Effect.forkChild(b.engine.recover)
    const look = Effect.andThen(nextTurn, b.history.rows)
    yield* Effect.repeat(look, { until: ([row]) => row?.epoch === 1 && row.status === "waiting_for_interaction" })
    yield* TestClock.adjust("2 seconds")
    yield* Fiber.join(recovered)
    const [row] = yield* Effect.repeat(look, { until: ([row]) => row?.status === "completed" })
    if (row === undefined) return assert.fail("it is not recorded")
    assert.strictEqual((yield* b.history.row(row.id)).resultJson, `"late"`)
    assert.deepStrictEqual(
      (yield* b.history.interactions(row.id)).map(({ status }) => status),
      ["cancelled"]
    )
  })

  it.effect("goes on with its timer after a crash", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const { engine } = yield* engineOf([guarded], { adapter, leaseMs: -60_000 })
      assert.isFalse(paused(yield* engine.executeWithPause(code)).survives)
      yield* endsLate(adapter)
    })
  )

  it.effect("goes on with its timer after it was handed over", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      yield* Effect.scoped(
        Effect.flatMap(engineOf([guarded], { adapter, recovery: "resume" }), ({ engine }) =>
          engine.executeWithPause(code)
        )
      )
      yield* endsLate(adapter)
    })
  )
})

layer(QuickJsExecutor.layer())("a fork whose origin is there no more", (it) => {
  it.effect("is ended, and says why", () =>
    Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const stuck = tool({ name: "stuck", description: "Does not end.", handler: () => Effect.never })
      const gone = yield* engineOf([stuck], { adapter, leaseMs: -60_000 })
      const { executionId } = yield* gone.engine.execute("return 1")
      yield* Effect.forkChild(gone.engine.fork(executionId, "return await tools.t.stuck()"))
      const look = Effect.andThen(nextTurn, gone.history.rows)
      const [fork] = yield* Effect.repeat(look, {
        until: ([row]) => row?.status === "running" && row.toolCallCount > 0
      })
      if (fork === undefined) return assert.fail("it is not recorded")
      yield* adapter.write([
        { op: "delete", table: "execution", where: { op: "eq", column: "id", value: executionId } }
      ])
      const b = yield* engineOf([stuck], { adapter, recovery: "resume" })
      assert.deepStrictEqual(yield* b.engine.recover, { continued: 0, ended: 1, expired: 0 })
      const row = yield* b.history.row(fork.id)
      assert.strictEqual(row.status, "failed")
      assert.match(row.errorText ?? "", /^NotResumable: .* is a fork of .*, whose journal is there no more/)
    })
  )
})
