/**
 * History that cannot be written never changes a result, and delays it by no more than a bounded time.
 */
import { CodeExecutor, type SandboxToolInvoker } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { DBAdapter, DBError, maxPayloadBytes, MemoryAdapter, type StaticTool, tool } from "@executor/sdk"
import { assert, describe, layer } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Logger, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type Fault, type FaultyAdapter, faultyAdapter } from "./support/faults.ts"
import { engineOf, nextTurn, quietly } from "./support/harness.ts"

const double = tool({
  name: "double",
  description: "",
  input: Schema.Struct({ n: Schema.Number }),
  handler: ({ n }) => n * 2
})

/**
 * What an execution may be delayed by in all, whatever the store does: 3 s for what hangs, 1 s for the end, and the watch. The bound
 * leaves a second more, as the clock of the test goes in steps.
 */
const longestDelayMs = 5_500

const code = "let n = 1; for (let i = 0; i < 5; i++) n = await tools.t.double({ n }); return n"

/** Its row, two notes of each call, and its end, which is still tried. */
const dropped = 12

/** An engine over a store that works again when it closes, as the ends that are not written are tried once more then. */
const engineOver = Effect.fnUntraced(function* (store: FaultyAdapter, tools: ReadonlyArray<StaticTool> = [double]) {
  const { codeExecutor, isAtWork } = watched(yield* CodeExecutor)
  const parts = yield* engineOf(tools, { adapter: store.adapter, codeExecutor })
  yield* Effect.addFinalizer(() => Effect.sync(() => (store.fault = "none")))
  /** Whether the next thing to happen is the end of a write: however slow the machine is, the program has nothing to do. */
  const waits = () => store.hanging > 0 && !isAtWork()
  return { ...parts, waits }
})

/** A sandbox that tells whether its program has something to do. It is for one program that makes one call at a time. */
const watched = (codeExecutor: CodeExecutor["Service"]) => {
  let atWork = false
  let settled = 0
  return {
    isAtWork: () => atWork,
    codeExecutor: CodeExecutor.of({
      ...codeExecutor,
      execute: (code, { invoke }, options) =>
        Effect.suspend(() => {
          atWork = true
          const invoker: SandboxToolInvoker = {
            invoke: (call) =>
              Effect.ensuring(
                invoke(call),
                Effect.sync(() => {
                  settled++
                  atWork = true
                })
              )
          }
          const onIdle = (received: number) => {
            atWork = received < settled
            options?.onIdle?.(received)
          }
          return codeExecutor.execute(code, invoker, { ...options, onIdle })
        }).pipe(Effect.ensuring(Effect.sync(() => (atWork = false))))
    })
  }
}

/** Lets time pass, but only while something waits for it. */
const passTimeUntilDone = Effect.fnUntraced(function* <A, E>(fiber: Fiber.Fiber<A, E>, waits: () => boolean) {
  while (fiber.pollUnsafe() === undefined) {
    if (waits()) yield* TestClock.adjust("50 millis")
    yield* nextTurn
  }
  return yield* Fiber.join(fiber)
})

layer(QuickJsExecutor.layer())("a store that", (it) => {
  for (const fault of ["fail", "die", "throw"] as const satisfies ReadonlyArray<Fault>) {
    it.effect(
      `does nothing but ${fault} changes no result; drops are counted, and logged once with their cause, as is the end`,
      () =>
        Effect.gen(function* () {
          const logged: Array<string> = []
          const logger = Logger.make(({ cause, message }) => {
            logged.push(`${String(message)} ${String(cause)}`)
          })
          const store = faultyAdapter()
          const { engine } = yield* engineOver(store)
          store.fault = fault
          const finished = yield* Effect.provide(engine.execute(code), Logger.layer([logger]))
          assert.strictEqual(finished.status, "completed")
          assert.strictEqual(finished.result, 32)
          assert.strictEqual(finished.toolCallCount, 5)
          assert.match(finished.historyProblem ?? "", /does not have all of this execution/)
          assert.strictEqual(yield* engine.droppedWrites, dropped)
          assert.strictEqual(logged.length, 2)
          for (const line of logged) {
            assert.include(line, finished.executionId)
            assert.match(line, /disk is full|bug in the adapter/)
          }
          assert.match(logged[1] ?? "", /^The end of execution .* is not written yet/)
        })
    )
  }

  it.effect("takes no result as large as the limits allow has an end nevertheless, and the caller has the result", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([])
      const bytes = maxPayloadBytes + 1
      const finished = yield* engine.execute(`console.log("kept"); return "x".repeat(${bytes})`, {
        limits: { resultBytes: 2 * bytes }
      })
      assert.deepStrictEqual([finished.status, finished.resultJson?.length], ["completed", bytes + 2])
      const row = yield* history.row(finished.executionId)
      assert.deepStrictEqual([row.status, row.resultJson, row.journalComplete], ["completed", null, false])
      assert.include(row.logsJson, "kept")
      assert.strictEqual(yield* engine.droppedWrites, 1)
    }).pipe(quietly)
  )

  it.effect("fails says nothing of itself to the code", () =>
    Effect.gen(function* () {
      const memory = MemoryAdapter.make()
      const adapter = DBAdapter.of({
        ...memory,
        find: (query) =>
          query.table === "source"
            ? Effect.fail(new DBError({ message: "connect ECONNREFUSED 10.0.3.7:5432", reason: "unavailable" }))
            : memory.find(query)
      })
      const { engine, history } = yield* engineOf([double], { adapter })
      const finished = yield* engine.execute(
        "return await tools.executor.sources.list().catch((error) => error.message)"
      )
      const [call] = yield* history.calls(finished.executionId)
      assert.include(String(finished.result), `The host's log has the cause under "${call?.id}"`)
      assert.notInclude(JSON.stringify([finished.result, call]), "10.0.3.7")
    }).pipe(quietly)
  )

  it.effect("hangs delays a result by a bounded time, however many calls there are", () =>
    Effect.gen(function* () {
      const store = faultyAdapter()
      const { engine, waits } = yield* engineOver(store)
      store.fault = "hang"
      const before = yield* Clock.currentTimeMillis
      const running = yield* Effect.forkChild(engine.execute(code), { startImmediately: true })
      const finished = yield* passTimeUntilDone(running, waits)
      assert.strictEqual(finished.result, 32)
      assert.strictEqual(finished.status, "completed")
      assert.isAtMost((yield* Clock.currentTimeMillis) - before, longestDelayMs)
      assert.strictEqual(yield* engine.droppedWrites, dropped)
    })
  )

  it.effect("hangs and cannot even be interrupted is left behind", () =>
    Effect.gen(function* () {
      const store = faultyAdapter()
      const { engine } = yield* engineOver(store)
      store.fault = "hangUninterruptibly"
      const running = yield* Effect.forkChild(engine.execute(code), { startImmediately: true })
      const finished = yield* passTimeUntilDone(running, () => store.lost > 0)
      assert.strictEqual(finished.result, 32)
      assert.strictEqual(yield* engine.droppedWrites, dropped)
    })
  )

  it.effect(
    "comes back: the row that stayed behind is created and ended in the background, and says that it is incomplete",
    () =>
      Effect.gen(function* () {
        const store = faultyAdapter()
        const { engine, history } = yield* engineOver(store)
        store.fault = "fail"
        const finished = yield* engine.execute(code)
        assert.deepStrictEqual(yield* history.rows, [])
        yield* TestClock.adjust("5 seconds")
        store.fault = "none"
        yield* TestClock.adjust("20 seconds")
        const row = yield* history.row(finished.executionId)
        assert.strictEqual(row.status, "completed")
        assert.strictEqual(row.resultJson, "32")
        assert.isFalse(row.journalComplete)
      })
  )

  it.effect("lost the note of a call says that the journal is incomplete before the call has its effect", () =>
    Effect.gen(function* () {
      const memory = MemoryAdapter.make()
      let writes = 0
      const adapter = DBAdapter.of({
        ...memory,
        // The first is the execution, the second the note of its call.
        write: (operations) =>
          ++writes === 2
            ? Effect.fail(new DBError({ message: "a moment's trouble", reason: "other" }))
            : Effect.andThen(Effect.repeat(nextTurn, { times: 5 }), memory.write(operations))
      })
      const seen: Array<unknown> = []
      const look = tool({
        name: "look",
        description: "",
        handler: () =>
          Effect.map(adapter.find({ table: "execution" }), ([row]) => {
            seen.push(row?.["journal_complete"])
          })
      })
      const { engine } = yield* engineOf([look], { adapter })
      const running = yield* Effect.forkChild(engine.execute("await tools.t.look()"), { startImmediately: true })
      const finished = yield* passTimeUntilDone(running, () => false)
      assert.strictEqual(finished.status, "completed")
      assert.deepStrictEqual(seen, [false])
    })
  )

  for (const what of ["a call under way", "a question"] as const) {
    it.effect(`hangs keeps no engine with ${what} from closing`, () =>
      Effect.gen(function* () {
        const store = faultyAdapter()
        const begun = yield* Deferred.make<void>()
        const tools = [
          tool({
            name: "stuck",
            description: "",
            handler: () =>
              Effect.andThen(
                Effect.sync(() => (store.fault = "hang")),
                Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
              )
          }),
          tool({
            name: "guarded",
            description: "",
            requiresApproval: true,
            handler: () => 1
          })
        ]
        const scope = yield* Scope.make()
        const { engine } = yield* Scope.provide(engineOf(tools, { adapter: store.adapter, recovery: "resume" }), scope)
        if (what === "a question") {
          // From its row on, nothing is written: it cannot be given up.
          yield* Effect.forkChild(engine.executeWithPause("await tools.t.guarded()"), { startImmediately: true })
          store.fault = "hang"
          while (store.hanging === 0) yield* nextTurn
        } else {
          yield* Effect.forkChild(engine.executeWithPause("await tools.t.stuck()"), { startImmediately: true })
          yield* Deferred.await(begun)
        }
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
        // How much time passes says nothing here, as it also passes while the sandbox is given up; without a bound this never ends.
        assert.isUndefined(yield* passTimeUntilDone(closing, () => true))
      })
    )
  }

  it.effect("hung gets another chance after a while", () =>
    Effect.gen(function* () {
      const store = faultyAdapter()
      const hangNow = tool({
        name: "hangNow",
        description: "",
        handler: () => {
          store.fault = "hang"
        }
      })
      const mend = tool({
        name: "mend",
        description: "",
        handler: () =>
          Effect.suspend(() => {
            store.fault = "none"
            return TestClock.adjust("30 seconds")
          })
      })
      const { engine, history, waits } = yield* engineOver(store, [double, hangNow, mend])
      const running = yield* Effect.forkChild(
        engine.execute(`
          await tools.t.hangNow()
          await tools.t.double({ n: 1 })
          await tools.t.mend()
          return await tools.t.double({ n: 2 })`),
        { startImmediately: true }
      )
      const finished = yield* passTimeUntilDone(running, waits)
      assert.strictEqual(finished.result, 4)
      assert.deepStrictEqual(
        (yield* history.calls(finished.executionId)).map(({ seq, status }) => [seq, status]),
        [
          [0, "running"],
          [3, "completed"]
        ]
      )
    })
  )

  it.effect("fails for a moment only: the rest is recorded, and the row says at once that a part is missing", () =>
    Effect.gen(function* () {
      const store = faultyAdapter()
      const breakOnce = tool({
        name: "breakOnce",
        description: "",
        handler: () => {
          store.fault = "fail"
        }
      })
      const mend = tool({
        name: "mend",
        description: "",
        handler: () =>
          Effect.gen(function* () {
            store.fault = "none"
          })
      })
      const { engine, history } = yield* engineOver(store, [double, breakOnce, mend])
      const finished = yield* engine.execute(
        "await tools.t.breakOnce(); await tools.t.mend(); return await tools.t.double({ n: 2 })"
      )
      assert.strictEqual(finished.result, 4)
      const row = yield* history.row(finished.executionId)
      assert.strictEqual(row.status, "completed")
      assert.isFalse(row.journalComplete)
      assert.deepStrictEqual(
        (yield* history.calls(finished.executionId)).map(({ seq, status }) => [seq, status]),
        [
          [0, "running"],
          [2, "completed"]
        ]
      )
    })
  )

  for (const fault of ["fail", "die", "throw", "hang", "hangUninterruptibly"] as const satisfies ReadonlyArray<Fault>) {
    it.effect(`does nothing but ${fault} for longer than a lease stops no call`, () =>
      Effect.gen(function* () {
        const store = faultyAdapter()
        const breakForLong = tool({
          name: "breakForLong",
          description: "",
          handler: () =>
            Effect.suspend(() => {
              store.fault = fault
              return TestClock.adjust("31 seconds")
            })
        })
        const { engine } = yield* engineOver(store, [double, breakForLong])
        const running = yield* Effect.forkChild(
          engine.execute("await tools.t.breakForLong(); return await tools.t.double({ n: 2 })"),
          { startImmediately: true }
        )
        const finished = yield* passTimeUntilDone(running, () => store.fault !== "none")
        assert.deepStrictEqual([finished.error, finished.result], [undefined, 4])
      })
    )
  }

  describe("hangs while the caller goes away", () => {
    it.effect("does not keep the caller longer than its bounded time", () =>
      Effect.gen(function* () {
        const store = faultyAdapter()
        const { engine, waits } = yield* engineOver(store)
        store.fault = "hang"
        const running = yield* Effect.forkChild(engine.execute(code), { startImmediately: true })
        yield* nextTurn
        const before = yield* Clock.currentTimeMillis
        const interrupted = yield* Effect.forkChild(Fiber.interrupt(running), { startImmediately: true })
        yield* passTimeUntilDone(interrupted, waits)
        assert.isAtMost((yield* Clock.currentTimeMillis) - before, longestDelayMs)
      })
    )
  })
})
