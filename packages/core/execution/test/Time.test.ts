/**
 * Time: what counts against the wall time, what waits follow, and that stopping never waits for long.
 */
import { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { engineOf } from "./support/harness.ts"

const approve = tool({ name: "approve", description: "", requiresApproval: true, handler: () => "approved" })

layer(QuickJsExecutor.layer())("time", (it) => {
  it.effect("a person's thinking counts against no limit, before and after it the wall time does", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const hang = tool({
        name: "hang",
        description: "",
        handler: () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
      })
      const { engine, history } = yield* engineOf([approve, hang])
      const paused = yield* engine.executeWithPause(
        "await tools.t.approve(); console.log('approved'); await tools.t.hang()",
        {
          limits: { wallTimeMs: 1000 }
        }
      )
      if (paused.status !== "paused") return assert.fail("it asks nothing")
      const { id } = paused.execution
      yield* TestClock.adjust("30 days")
      const resumed = yield* Effect.forkChild(engine.resume(id, { action: "accept" }), { startImmediately: true })
      yield* Deferred.await(begun)
      yield* TestClock.adjust("999 millis")
      assert.strictEqual((yield* history.row(id)).status, "running")
      yield* TestClock.adjust("1 millis")
      const outcome = yield* Fiber.join(resumed)
      if (outcome.status === "paused") return assert.fail("it asks again")
      assert.strictEqual(outcome.status, "failed")
      assert.strictEqual(outcome.error?.name, "LimitExceeded")
      assert.strictEqual(outcome.error?.limit, "wallTimeMs")
      assert.match(outcome.error?.message ?? "", /wallTimeMs.*1 s/)
      const row = yield* history.row(id)
      assert.match(row.errorText ?? "", /wallTimeMs/)
      assert.deepStrictEqual(
        outcome.logs.map(({ message }) => message),
        ["approved"]
      )
      assert.deepStrictEqual(JSON.parse(row.logsJson ?? "null"), outcome.logs)
      assert.deepStrictEqual(
        (yield* history.calls(id)).map(({ status }) => status),
        ["completed", "in_doubt"]
      )
    })
  )

  it.effect("an execution that is cancelled keeps what it had logged", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([approve])
      const paused = yield* engine.executeWithPause("console.warn('asks'); await tools.t.approve()")
      if (paused.status !== "paused") return assert.fail("it asks nothing")
      yield* engine.cancel(paused.execution.id)
      const { logsJson, status } = yield* history.row(paused.execution.id)
      assert.strictEqual(status, "cancelled")
      assert.match(logsJson ?? "", /"level":"warn","message":"asks"/)
    })
  )

  it.effect("a timer of the code waits on the host's clock, and the code's clock follows", () =>
    Effect.gen(function* () {
      const slept = yield* Deferred.make<void>()
      const { engine } = yield* engineOf([
        tool({ name: "before", description: "", handler: () => Deferred.succeed(slept, undefined) })
      ])
      const running = yield* Effect.forkChild(
        engine.execute(`
          const start = Date.now()
          const timer = new Promise((resolve) => setTimeout(resolve, 60_000))
          await tools.t.before()
          await timer
          return Date.now() - start`),
        { startImmediately: true }
      )
      yield* Deferred.await(slept)
      assert.strictEqual(running.pollUnsafe(), undefined)
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual((yield* Fiber.join(running)).result, 60_000)
    })
  )

  it.effect("a timer longer than a day is refused, which the code learns", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([])
      const finished = yield* engine.execute("await new Promise((resolve) => setTimeout(resolve, 86_400_001))")
      assert.strictEqual(finished.error?.name, "ToolInputInvalid")
      assert.match(finished.error?.message ?? "", /`ms`.*86400000/)
    })
  )

  it.effect("a tool that cannot be interrupted is left behind when its execution is cancelled", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const stuck = tool({
        name: "stuck",
        description: "",
        handler: () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.uninterruptible(Effect.never))
      })
      const { engine, history } = yield* engineOf([stuck])
      yield* Effect.forkChild(engine.execute("await tools.t.stuck()"), { startImmediately: true })
      yield* Deferred.await(begun)
      const [row] = yield* history.rows
      const cancelling = yield* Effect.forkChild(engine.cancel(row!.id), { startImmediately: true })
      // The sandbox is stopped first, which takes real time, and then the tool is given a second.
      while (cancelling.pollUnsafe() === undefined) {
        yield* TestClock.adjust("1 seconds")
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      assert.strictEqual((yield* history.row(row!.id)).status, "cancelled")
      assert.deepStrictEqual(
        (yield* history.calls(row!.id)).map(({ status }) => status),
        ["in_doubt"]
      )
    })
  )

  it.effect("a sandbox that does not let go is left behind after five seconds", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const codeExecutor = CodeExecutor.of({
        build: "stuck",
        execute: () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.uninterruptible(Effect.never))
      })
      const { engine, history } = yield* engineOf([], { codeExecutor })
      const caller = yield* Effect.forkChild(engine.execute("return 1"), { startImmediately: true })
      yield* Deferred.await(begun)
      const gone = yield* Effect.forkChild(Fiber.interrupt(caller), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(gone)
      const [row] = yield* history.rows
      assert.strictEqual(row?.status, "cancelled")
      assert.strictEqual(row?.durationMs, 5000)
    })
  )
})
