/**
 * A bounded number of executions is under way, and the rest waits in line: in order, fairly between scopes, and not for ever.
 */
import { Admission, type ExecutionEngine, type ExecutionOptions } from "@executor/execution"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { MemoryAdapter, tool } from "@executor/sdk"
import { assert, describe, it as plainly, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { asking, holding, makeBusy } from "./support/busy.ts"
import { engineOf, gone, nextTurn, paused, until } from "./support/harness.ts"

/** An engine with its own bounds over busy tools. */
const busyEngine = Effect.fnUntraced(function* (bounds: Admission.AdmissionOptions) {
  const busy = makeBusy()
  const admission = Admission.make(bounds)
  return { ...busy, admission, ...(yield* engineOf(busy.tools, { admission })) }
})

/** Submits beside the test. */
const submit = (engine: ExecutionEngine, code: string, options?: ExecutionOptions) =>
  Effect.forkChild(engine.executeWithPause(code, options), { startImmediately: true })

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

layer(QuickJsExecutor.layer())("executions under way", (it) => {
  it.effect("are never more than the limit, and begin in the order of their submission", () =>
    Effect.gen(function* () {
      const { admission, engine, held, letGo, most } = yield* busyEngine({ concurrentExecutions: 3 })
      const begun: Array<number> = []
      const numbers = range(0, 20)
      const all = yield* Effect.forEach(numbers, (n) =>
        submit(engine, holding(n), { onStart: () => void begun.push(n) })
      )
      for (const n of numbers) {
        yield* until(() => held.size === Math.min(3, 20 - n))
        assert.deepStrictEqual(admission.load(), { underWay: held.size, queued: Math.max(0, 17 - n) })
        assert.deepStrictEqual(begun, range(0, Math.min(20, n + 3)))
        letGo(n)
        yield* Fiber.join(all[n]!)
      }
      assert.strictEqual(most(), 3)
      assert.deepStrictEqual(yield* engine.load, { underWay: 0, queued: 0 })
    })
  )

  it.effect("of one scope do not hold up those of another, however many wait", () =>
    Effect.gen(function* () {
      const { tools, ...busy } = makeBusy()
      const admission = Admission.make({ concurrentExecutions: 1 })
      const a = yield* engineOf(tools, { admission, scope: "a" })
      const b = yield* engineOf(tools, { admission, scope: "b" })
      yield* Effect.forEach(range(0, 51), (n) => submit(a.engine, holding(n)))
      yield* Effect.forEach([100, 101], (n) => submit(b.engine, holding(n)))
      assert.deepStrictEqual(yield* b.engine.load, { underWay: 1, queued: 52 })
      for (const n of [0, 1, 100, 2, 101, 3, 4]) {
        yield* until(() => busy.held.has(n))
        busy.letGo(n)
      }
      assert.deepStrictEqual(busy.made, [0, 1, 100, 2, 101, 3, 4])
    })
  )

  it.effect("are refused beyond the line, with what to do, until there is room again", () =>
    Effect.gen(function* () {
      const { engine, held, history, letGo } = yield* busyEngine({ concurrentExecutions: 1, queuedExecutions: 2 })
      const [first] = yield* Effect.forEach([0, 1, 2], (n) => submit(engine, holding(n)))
      yield* until(() => held.has(0))
      const refused = yield* Effect.flip(engine.execute(holding(3)))
      if (refused._tag !== "TooManyExecutions") return assert.fail(refused._tag)
      assert.deepInclude(refused, { limit: "queuedExecutions", value: 2 })
      assert.isTrue(refused.retryAfterMs >= 1_000 && refused.retryAfterMs <= 60_000)
      assert.include(refused.message, "concurrentExecutions")
      assert.include(refused.message, "queuedExecutions")
      // What waits in line is recorded as little as what was refused.
      assert.strictEqual((yield* history.rows).length, 1)
      letGo(0)
      yield* Fiber.join(first!)
      const fourth = yield* submit(engine, holding(4))
      for (const n of [1, 2, 4]) letGo(n)
      assert.deepInclude(yield* Fiber.join(fourth), { status: "completed", resultJson: "4" })
      assert.strictEqual((yield* history.rows).length, 4)
    })
  )

  it.effect("are not those that wait for a person, parked or in the process", () =>
    Effect.gen(function* () {
      const { admission, engine } = yield* busyEngine({ concurrentExecutions: 1 })
      const { id } = paused(yield* engine.executeWithPause(asking(1)))
      yield* until(() => admission.load().underWay === 0)
      const onElicitation = () => Effect.never
      const inline = yield* Effect.forkChild(engine.execute(asking(2), { onElicitation }), { startImmediately: true })
      yield* until(() => admission.load().underWay === 0)
      assert.strictEqual((yield* engine.execute("return 3")).result, 3)
      yield* Fiber.interrupt(inline)
      assert.strictEqual((yield* engine.resume(id, { action: "accept" })).status, "completed")
      assert.deepStrictEqual(admission.load(), { underWay: 0, queued: 0 })
    })
  )

  for (const where of ["parked", "in the process"] as const) {
    it.effect(`go on after an answer before what has not begun: ${where}`, () =>
      Effect.gen(function* () {
        const { admission, engine, held, history, letGo, made } = yield* busyEngine({ concurrentExecutions: 1 })
        const first =
          where === "parked"
            ? yield* submit(engine, asking(1))
            : yield* Effect.forkChild(engine.execute(asking(1), { onElicitation: () => Effect.never }))
        yield* until(() => admission.load().underWay === 0 && made.length === 0)
        const [row] = yield* Effect.repeat(history.rows, {
          until: ([row]) => row?.status === "waiting_for_interaction"
        })
        if (where === "parked") yield* Fiber.join(first)
        yield* submit(engine, holding(2))
        yield* until(() => held.has(2))
        yield* submit(engine, holding(3))
        yield* Effect.forkChild(engine.resume(row!.id, { action: "accept" }), { startImmediately: true })
        yield* until(() => admission.load().queued === 2)
        letGo(2)
        yield* until(() => held.has(3))
        assert.deepStrictEqual(made, [2, 1, 3])
        letGo(3)
      })
    )
  }

  it.effect("are also those that wait for a person and go on with a timer", () =>
    Effect.gen(function* () {
      const { admission, engine, held, letGo, made } = yield* busyEngine({ concurrentExecutions: 1 })
      const late = "setTimeout(() => void tools.t.hold({ n: 1 }), 1000)"
      const { id } = paused(yield* engine.executeWithPause(`${late}; return await tools.t.guarded({ n: 9 })`))
      yield* until(() => admission.load().underWay === 0)
      yield* submit(engine, holding(2))
      yield* until(() => held.has(2))
      yield* TestClock.adjust("1 second")
      yield* until(() => admission.load().queued === 1)
      assert.deepStrictEqual(made, [2])
      letGo(2)
      yield* until(() => held.has(1))
      assert.deepStrictEqual(admission.load(), { underWay: 1, queued: 0 })
      letGo(1)
      yield* until(() => admission.load().underWay === 0)
      assert.strictEqual((yield* engine.resume(id, { action: "accept" })).status, "completed")
      assert.deepStrictEqual(made, [2, 1, 9])
    })
  )
})

layer(QuickJsExecutor.layer())("an answer that finds no room", (it) => {
  it.effect("is refused, and its question waits on", () =>
    Effect.gen(function* () {
      const bounds = { concurrentExecutions: 1, queuedExecutions: 1 }
      const { admission, engine, held, history, letGo, made } = yield* busyEngine(bounds)
      const a = paused(yield* engine.executeWithPause(asking(1)))
      const b = paused(yield* engine.executeWithPause(asking(2)))
      yield* until(() => admission.load().underWay === 0)
      yield* submit(engine, holding(3))
      yield* until(() => held.has(3))
      const resumed = yield* Effect.forkChild(engine.resume(a.id, { action: "accept" }), { startImmediately: true })
      yield* until(() => admission.load().queued === 1)
      const refused = yield* Effect.flip(engine.resume(b.id, { action: "accept" }))
      assert.strictEqual(refused._tag, "TooManyExecutions")
      assert.strictEqual((yield* history.row(b.id)).status, "waiting_for_interaction")
      assert.deepStrictEqual(
        (yield* history.interactions(b.id)).map(({ status }) => status),
        ["pending"]
      )
      letGo(3)
      assert.strictEqual((yield* Fiber.join(resumed)).status, "completed")
      assert.strictEqual((yield* engine.resume(b.id, { action: "accept" })).status, "completed")
      assert.deepStrictEqual(made, [3, 1, 2])
    })
  )

  it.effect("is not given where its caller goes away meanwhile", () =>
    Effect.gen(function* () {
      const { admission, engine, held, history, letGo, made } = yield* busyEngine({ concurrentExecutions: 1 })
      const { id } = paused(yield* engine.executeWithPause(asking(1)))
      yield* until(() => admission.load().underWay === 0)
      yield* submit(engine, holding(2))
      yield* until(() => held.has(2))
      const resumed = yield* Effect.forkChild(engine.resume(id, { action: "accept" }), { startImmediately: true })
      yield* until(() => admission.load().queued === 1)
      yield* Fiber.interrupt(resumed)
      assert.deepStrictEqual(admission.load(), { underWay: 1, queued: 0 })
      assert.strictEqual((yield* history.row(id)).status, "waiting_for_interaction")
      letGo(2)
      assert.strictEqual((yield* engine.resume(id, { action: "accept" })).status, "completed")
      assert.deepStrictEqual(made, [2, 1])
    })
  )
})

layer(QuickJsExecutor.layer())("answers in line", (it) => {
  it.effect("keep no other caller, who goes away", () =>
    Effect.gen(function* () {
      const { admission, engine, held, letGo } = yield* busyEngine({ concurrentExecutions: 1 })
      const { id } = paused(yield* engine.executeWithPause(asking(1)))
      yield* until(() => admission.load().underWay === 0)
      yield* submit(engine, holding(2))
      yield* until(() => held.has(2))
      const answer = engine.resume(id, { action: "accept" })
      const first = yield* Effect.forkChild(answer, { startImmediately: true })
      yield* until(() => admission.load().queued === 1)
      const second = yield* Effect.forkChild(answer, { startImmediately: true })
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(admission.load(), { underWay: 1, queued: 1 })
      letGo(2)
      assert.strictEqual((yield* Fiber.join(first)).status, "completed")
    })
  )

  it.effect("take none of the wall time of their execution", () =>
    Effect.gen(function* () {
      const { admission, engine, held, history, letGo } = yield* busyEngine({ concurrentExecutions: 1 })
      const options = { limits: { wallTimeMs: 1_000 }, onElicitation: () => Effect.never }
      const running = yield* Effect.forkChild(engine.execute(asking(1), options))
      const waiting = Effect.andThen(nextTurn, history.rows)
      const [row] = yield* Effect.repeat(waiting, { until: ([row]) => row?.status === "waiting_for_interaction" })
      yield* until(() => admission.load().underWay === 0)
      yield* submit(engine, holding(2))
      yield* until(() => held.has(2))
      yield* Effect.forkChild(engine.resume(row!.id, { action: "accept" }), { startImmediately: true })
      yield* until(() => admission.load().queued === 1)
      yield* TestClock.adjust("5 seconds")
      letGo(2)
      assert.deepInclude(yield* Fiber.join(running), { status: "completed", resultJson: "1" })
    })
  )

  it.effect("leave it where their execution asks again meanwhile", () =>
    Effect.gen(function* () {
      const { tools, ...busy } = makeBusy()
      const admission = Admission.make({ concurrentExecutions: 1 })
      const outOfTime = Deferred.makeUnsafe<void>()
      const asks = tool({
        name: "asks",
        description: "Asks, and asks again where that takes too long.",
        handler: (_input, { elicit }) => {
          const question = (message: string) => elicit({ kind: "url", message, url: "https://example.com" })
          return Effect.asVoid(
            Effect.andThen(Effect.raceFirst(question("first"), Deferred.await(outOfTime)), question("second"))
          )
        }
      })
      const { engine } = yield* engineOf([...tools, asks], { admission })
      const { id } = paused(yield* engine.executeWithPause("await tools.t.asks()"))
      yield* until(() => admission.load().underWay === 0)
      yield* submit(engine, holding(1))
      yield* until(() => busy.held.has(1))
      yield* Effect.forkChild(engine.resume(id, { action: "accept" }), { startImmediately: true })
      yield* until(() => admission.load().queued === 1)
      yield* Deferred.succeed(outOfTime, undefined)
      yield* until(() => admission.load().queued === 0)
      busy.letGo(1)
      yield* until(() => admission.load().underWay === 0)
      assert.strictEqual((yield* engine.resume(id, { action: "accept" })).status, "completed")
      assert.deepStrictEqual(admission.load(), { underWay: 0, queued: 0 })
    })
  )
})

layer(QuickJsExecutor.layer())("a submission in line", (it) => {
  it.effect("whose caller goes away is not run nor recorded, and the next has its place", () =>
    Effect.gen(function* () {
      const { admission, engine, held, history, letGo, made } = yield* busyEngine({ concurrentExecutions: 1 })
      yield* submit(engine, holding(0))
      yield* until(() => held.has(0))
      const second = yield* submit(engine, holding(1))
      const third = yield* Effect.forkChild(engine.execute(holding(2)), { startImmediately: true })
      yield* submit(engine, holding(3))
      yield* Fiber.interrupt(second)
      yield* Fiber.interrupt(third)
      assert.deepStrictEqual(admission.load(), { underWay: 1, queued: 1 })
      letGo(0)
      yield* until(() => held.has(3))
      assert.deepStrictEqual(made, [0, 3])
      assert.strictEqual((yield* history.rows).length, 2)
      letGo(3)
    })
  )

  it.effect("whose caller goes away just as it is admitted keeps no place", () =>
    Effect.gen(function* () {
      const { admission, engine, held, letGo, made } = yield* busyEngine({ concurrentExecutions: 1 })
      yield* submit(engine, holding(0))
      yield* until(() => held.has(0))
      const second: Fiber.Fiber<unknown, unknown> = yield* Effect.forkChild(
        engine.execute(holding(1), { onStart: () => second.interruptUnsafe() }),
        { startImmediately: true }
      )
      yield* submit(engine, holding(2))
      letGo(0)
      yield* until(() => held.has(2))
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(second)))
      assert.deepStrictEqual(made, [0, 2])
      assert.deepStrictEqual(admission.load(), { underWay: 1, queued: 0 })
      letGo(2)
    })
  )

  it.effect("is refused when its engine closes, as is an answer, and another engine has the places", () =>
    Effect.gen(function* () {
      const { held, letGo, tools } = makeBusy()
      const adapter = MemoryAdapter.make()
      const admission = Admission.make({ concurrentExecutions: 1 })
      const scope = yield* Scope.make()
      const { engine } = yield* Scope.provide(engineOf(tools, { adapter, admission }), scope)
      const { id } = paused(yield* engine.executeWithPause(asking(1)))
      yield* until(() => admission.load().underWay === 0)
      yield* submit(engine, holding(0))
      yield* until(() => held.has(0))
      const all = yield* Effect.forEach(range(2, 30), (n) => submit(engine, holding(n)))
      const answer = yield* Effect.forkChild(engine.resume(id, { action: "accept" }), { startImmediately: true })
      yield* until(() => admission.load().queued === 29)
      const other = yield* engineOf(tools, { adapter, admission, scope: "other" })
      const others = yield* submit(other.engine, holding(100))
      yield* Scope.close(scope, Exit.void)
      for (const each of all) {
        const refused = yield* Effect.flip(Fiber.join(each))
        assert.deepStrictEqual([refused._tag, "field" in refused && refused.field], ["ExecutionRefused", "engine"])
      }
      assert.strictEqual((yield* Effect.flip(Fiber.join(answer)))._tag, "ExecutionInterrupted")
      letGo(100)
      assert.strictEqual((yield* Fiber.join(others)).status, "completed")
      assert.deepStrictEqual(admission.load(), { underWay: 0, queued: 0 })
      assert.strictEqual((yield* Effect.flip(engine.execute("return 1")))._tag, "ExecutionRefused")
    })
  )

  it.effect("with a key that was used is answered while the line is full", () =>
    Effect.gen(function* () {
      const bounds = { concurrentExecutions: 1, queuedExecutions: 1 }
      const { engine, held, letGo, made } = yield* busyEngine(bounds)
      const ended = yield* engine.execute("return 7", { idempotencyKey: "ended" })
      const running = yield* submit(engine, holding(0), { idempotencyKey: "running" })
      yield* until(() => held.has(0))
      yield* submit(engine, holding(1))
      const again = yield* engine.execute("return 7", { idempotencyKey: "ended" })
      assert.deepStrictEqual([again.executionId, again.resultJson], [ended.executionId, "7"])
      const waits = yield* submit(engine, holding(0), { idempotencyKey: "running" })
      const conflict = yield* Effect.flip(engine.execute("return 8", { idempotencyKey: "ended" }))
      assert.strictEqual(conflict._tag, "IdempotencyConflict")
      const refused = yield* Effect.flip(engine.execute("return 8", { idempotencyKey: "new" }))
      assert.strictEqual(refused._tag, "TooManyExecutions")
      letGo(0)
      assert.deepStrictEqual(yield* Fiber.join(waits), yield* Fiber.join(running))
      letGo(1)
      assert.strictEqual(made.filter((n) => n === 0).length, 1)
    })
  )
})

layer(QuickJsExecutor.layer())("a place", (it) => {
  for (const what of ["fork", "previewFork", "replay", "recover"] as const) {
    it.effect(`is taken by ${what}`, () =>
      Effect.gen(function* () {
        const { held, letGo, tools } = makeBusy()
        const adapter = MemoryAdapter.make()
        const admission = Admission.make({ concurrentExecutions: 1 })
        const { engine } = yield* engineOf(tools, { adapter, admission, recovery: "resume" })
        const { executionId } = yield* engine.execute("return 1")
        if (what === "recover") {
          const lost = yield* engineOf(tools, { adapter, ...gone })
          yield* submit(lost.engine, `await tools.t.hold({ n: 5 })`)
          yield* until(() => held.has(5))
        }
        yield* submit(engine, holding(0))
        yield* until(() => held.has(0))
        const operation: Effect.Effect<unknown, unknown> = {
          fork: engine.fork(executionId, "return 2"),
          previewFork: engine.previewFork(executionId, "return 2"),
          replay: engine.replay(executionId),
          recover: engine.recover
        }[what]
        const waits = yield* Effect.forkChild(operation, { startImmediately: true })
        yield* until(() => admission.load().queued === 1)
        letGo(0)
        yield* Fiber.join(waits)
        yield* until(() => admission.load().underWay === 0)
        assert.deepStrictEqual(admission.load(), { underWay: 0, queued: 0 })
      })
    )
  }
})

describe("the settings of an admission", () => {
  for (const setting of ["concurrentExecutions", "queuedExecutions"] as const) {
    plainly(`must be positive whole numbers: ${setting}`, () => {
      for (const value of [0, -1, 1.5]) {
        assert.throws(() => Admission.make({ [setting]: value }), RangeError, setting)
      }
    })
  }
})
