/**
 * Executions that have ended while the store does not take their end: they are nobody's to run again.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { MemoryAdapter, tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import { engineOf, nextTurn, quietly } from "./support/harness.ts"
import { isEnd, isNoCreation, refusing } from "./support/refusing.ts"

/** A tool that must not be called twice, and how often it was. */
const makeEffects = () => {
  const effects: Array<string> = []
  const write = tool({ name: "write", description: "Writes.", handler: () => effects.push("write") })
  return { effects, tools: [write] }
}

const code = `console.log("kept"); return await tools.t.write()`

/** Lets time pass until something has happened. */
const passTimeUntil = (happened: () => boolean) =>
  Effect.repeat(Effect.andThen(TestClock.adjust("100 millis"), nextTurn), { until: happened })

layer(QuickJsExecutor.layer())("an end that the store does not take", (it) => {
  for (const how of ["fails", "hangs"] as const) {
    it.effect(`is written once it does, and its execution is run by nobody meanwhile: the store ${how}`, () =>
      Effect.gen(function* () {
        const memory = MemoryAdapter.make()
        const store = refusing(memory, how)
        const { effects, tools } = makeEffects()
        const a = yield* engineOf(tools, { adapter: store.adapter, recovery: "resume" })
        const b = yield* engineOf(tools, { adapter: memory, recovery: "resume" })
        store.refuses = isEnd
        const running = yield* Effect.forkChild(a.engine.execute(code), { startImmediately: true })
        yield* passTimeUntil(() => running.pollUnsafe() !== undefined)
        const { executionId, status } = yield* Fiber.join(running)
        assert.strictEqual(status, "completed")
        // Several leases long.
        for (let seconds = 0; seconds < 150; seconds += 5) {
          yield* TestClock.adjust("5 seconds")
          yield* nextTurn
          for (const { engine } of [a, b]) {
            assert.deepStrictEqual(yield* engine.recover, { continued: 0, ended: 0, expired: 0 })
          }
          const row = yield* b.history.row(executionId)
          assert.strictEqual(row.status, "running")
          assert.isAbove(row.leaseUntil ?? 0, yield* Clock.currentTimeMillis)
        }
        assert.isAbove(store.refused, 5)
        store.refuses = undefined
        yield* TestClock.adjust("15 seconds")
        const row = yield* b.history.row(executionId)
        assert.deepStrictEqual([row.status, row.resultJson, row.journalComplete], ["completed", "1", true])
        assert.include(row.logsJson, "kept")
        assert.deepStrictEqual(effects, ["write"])
        assert.strictEqual(yield* a.engine.droppedWrites, 0)
      }).pipe(quietly)
    )
  }

  it.effect("is not run again by its own engine, though the lease could not be prolonged either", () =>
    Effect.gen(function* () {
      const store = refusing(MemoryAdapter.make())
      const { effects, tools } = makeEffects()
      const { engine, history } = yield* engineOf(tools, { adapter: store.adapter, recovery: "resume" })
      store.refuses = isEnd
      const { executionId } = yield* engine.execute(code)
      store.refuses = () => true
      yield* TestClock.adjust("2 minutes")
      assert.isBelow((yield* history.row(executionId)).leaseUntil ?? 0, yield* Clock.currentTimeMillis)
      assert.deepStrictEqual(yield* engine.recover, { continued: 0, ended: 0, expired: 0 })
      store.refuses = undefined
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual((yield* history.row(executionId)).status, "completed")
      assert.deepStrictEqual(effects, ["write"])
    }).pipe(quietly)
  )

  it.effect("is written without its result where the store takes it only after a long time", () =>
    Effect.gen(function* () {
      const store = refusing(MemoryAdapter.make())
      const { effects, tools } = makeEffects()
      const { engine, history } = yield* engineOf(tools, { adapter: store.adapter })
      store.refuses = isEnd
      const { executionId } = yield* engine.execute(code)
      yield* TestClock.adjust("45 minutes")
      assert.strictEqual((yield* history.row(executionId)).status, "running")
      assert.strictEqual(yield* engine.droppedWrites, 2, "its result, and its end")
      store.refuses = undefined
      yield* TestClock.adjust("15 seconds")
      const row = yield* history.row(executionId)
      assert.deepStrictEqual([row.status, row.resultJson, row.logsJson], ["completed", null, null])
      assert.deepStrictEqual(effects, ["write"])
    }).pipe(quietly)
  )

  it.effect("is tried once more when the engine closes", () =>
    Effect.gen(function* () {
      const store = refusing(MemoryAdapter.make())
      const { tools } = makeEffects()
      const scope = yield* Scope.make()
      const { engine, history } = yield* Scope.provide(engineOf(tools, { adapter: store.adapter }), scope)
      store.refuses = isEnd
      const { executionId } = yield* engine.execute(code)
      store.refuses = undefined
      yield* Scope.close(scope, Exit.void)
      const row = yield* history.row(executionId)
      assert.deepStrictEqual([row.status, row.resultJson], ["completed", "1"])
    }).pipe(quietly)
  )

  it.effect("is told of where the engine closes without it", () =>
    Effect.gen(function* () {
      const store = refusing(MemoryAdapter.make())
      const { tools } = makeEffects()
      const logged: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        logged.push(`${logLevel} ${String(message)}`)
      })
      const scope = yield* Scope.make()
      yield* Effect.gen(function* () {
        const { engine } = yield* Scope.provide(engineOf(tools, { adapter: store.adapter }), scope)
        store.refuses = isEnd
        yield* Effect.all([engine.execute(code), engine.execute(code)])
        yield* Scope.close(scope, Exit.void)
      }).pipe(Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(
        logged.filter((line) => line.startsWith("Error")),
        ["Error The ends of 2 executions could not be written before the engine closed."]
      )
    })
  )

  it.effect("nor any note of its calls leads to no second effect in another engine, which says why", () =>
    Effect.gen(function* () {
      const memory = MemoryAdapter.make()
      const store = refusing(memory)
      const { effects, tools } = makeEffects()
      const scope = yield* Scope.make()
      const a = yield* Scope.provide(engineOf(tools, { adapter: store.adapter, recovery: "resume" }), scope)
      store.refuses = isNoCreation
      const { executionId, result } = yield* a.engine.execute(code)
      assert.strictEqual(result, 1)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("31 seconds")
      const b = yield* engineOf(tools, { adapter: memory, recovery: "resume" })
      assert.deepStrictEqual(yield* b.engine.recover, { continued: 0, ended: 1, expired: 0 })
      const row = yield* b.history.row(executionId)
      assert.strictEqual(row.status, "failed")
      assert.match(row.errorText ?? "", /^NotResumable: .*its process was lost before a call was recorded/)
      assert.deepStrictEqual(effects, ["write"])
    }).pipe(quietly)
  )
})
