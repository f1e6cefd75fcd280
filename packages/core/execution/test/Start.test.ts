/**
 * The id of an execution is known to its caller before anything happens to it.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { DBAdapter, DBError, type ExecutionId, MemoryAdapter } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import { engineOf } from "./support/harness.ts"

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("onStart", (it) => {
  it.effect("tells the id before the first event, and never for what is refused", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([])
      const seen: Array<string> = []
      yield* engine.events.pipe(
        Stream.runForEach(({ _tag, executionId }) => Effect.sync(() => seen.push(`${_tag} ${executionId}`))),
        Effect.forkScoped({ startImmediately: true })
      )
      const onStart = (id: ExecutionId) => void seen.push(`onStart ${id}`)
      const { executionId } = yield* engine.execute("return 1", { onStart })
      yield* Effect.repeat(Effect.yieldNow, { until: () => seen.length === 3 })
      assert.deepStrictEqual(
        seen,
        ["onStart", "ExecutionStarted", "ExecutionFinished"].map((tag) => `${tag} ${executionId}`)
      )
      yield* Effect.flip(engine.execute("", { onStart }))
      assert.strictEqual(seen.length, 3)
    })
  )

  it.effect("gives what cancels the execution while it runs", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([])
      let id: ExecutionId | undefined
      const onStart = (started: ExecutionId) => {
        id = started
      }
      const running = yield* Effect.forkChild(engine.executeWithPause("for (;;) {}", { onStart }), {
        startImmediately: true
      })
      if (id === undefined) return assert.fail("it was not told")
      yield* engine.cancel(id)
      assert.strictEqual((yield* Fiber.join(running)).status, "cancelled")
    })
  )

  it.effect("with a key, it is recorded that it did not start when it throws", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([], { leaseMs: -60_000, recovery: "resume" })
      const onStart = () => {
        throw new Error("the host is broken")
      }
      const submitted = engine.execute("return 1", { onStart, idempotencyKey: "k" })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(submitted)))
      assert.deepStrictEqual(yield* engine.recover, { continued: 0, ended: 0, expired: 0 })
      const [row] = yield* history.rows
      assert.deepStrictEqual([row?.status, row?.errorText?.split(":")[0]], ["failed", "NotStarted"])
    })
  )

  it.effect("with a key, it does not run where the history is not kept", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([], { keepsHistory: false })
      const refused = yield* Effect.flip(engine.execute("return 1", { idempotencyKey: "k" }))
      assert.deepStrictEqual([refused._tag, "field" in refused && refused.field], ["ExecutionRefused", "history"])
      assert.deepStrictEqual(yield* history.rows, [])
      const { historyProblem, result } = yield* engine.execute("return 1")
      assert.strictEqual(result, 1)
      assert.match(historyProblem ?? "", /in memory only/)
    })
  )

  it.effect("with a key, it is the same also where its sender names another parent", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([])
      const send = (parentExecutionId: string) =>
        engine.execute("return 1", { idempotencyKey: "k", trigger: { kind: "sdk", meta: { parentExecutionId } } })
      assert.strictEqual((yield* send("a")).executionId, (yield* send("b")).executionId)
    })
  )

  it.effect("with a key, a fork is none of what only names the same parent, nor the other way", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([])
      const { executionId } = yield* engine.execute("return 1")
      const submit = (idempotencyKey: string) =>
        engine.execute("return 2", {
          idempotencyKey,
          trigger: { kind: "sdk", meta: { parentExecutionId: executionId } }
        })
      const fork = (idempotencyKey: string) => engine.fork(executionId, "return 2", { idempotencyKey })
      yield* submit("a")
      yield* fork("b")
      assert.strictEqual((yield* Effect.flip(fork("a")))._tag, "IdempotencyConflict")
      assert.strictEqual((yield* Effect.flip(submit("b")))._tag, "IdempotencyConflict")
      yield* submit("a")
      yield* fork("b")
    })
  )

  it.effect("with a key, the database's own words about it are only for whoever runs it", () =>
    Effect.gen(function* () {
      const memory = MemoryAdapter.make()
      const message = "connect ECONNREFUSED 10.0.3.7:5432"
      const write = () => Effect.fail(new DBError({ message, reason: "unavailable" }))
      const { engine } = yield* engineOf([], { adapter: DBAdapter.of({ ...memory, write }) })
      const refused = yield* Effect.flip(engine.execute("return 1", { idempotencyKey: "k" }))
      if (refused._tag !== "ExecutionRefused") return assert.fail(refused._tag)
      assert.strictEqual(refused.field, "history")
      assert.include(refused.message, "Send the same code with the same key again")
      assert.notInclude(refused.message, "10.0.3.7")
      assert.include(String(refused.cause), message)
    })
  )

  it.effect("runs and records nothing when it throws", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([])
      const onStart = () => {
        throw new Error("the host is broken")
      }
      assert.isTrue(Exit.hasDies(yield* Effect.exit(engine.execute("return 1", { onStart }))))
      assert.deepStrictEqual(yield* history.rows, [])
    })
  )
})
