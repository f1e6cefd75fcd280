/**
 * Executions that submit others and wait for them: a place that is kept by the one is not waited for by the other.
 */
import { Admission, type ExecutionEngine, type ExecutionOutcome, type FinishedExecution } from "@executor/execution"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { type ExecutionId, tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { asking, holding, makeBusy } from "./support/busy.ts"
import { engineOf, paused, until } from "./support/harness.ts"

type Nest = (engine: ExecutionEngine, trigger: Trigger) => Effect.Effect<unknown, unknown>

type Trigger = { readonly kind: "sdk"; readonly meta: { readonly parentExecutionId: ExecutionId } }

/** Runs an execution in the only place there is; its call submits another, and ends with that. */
const nesting = Effect.fnUntraced(function* (nest: Nest) {
  const admission = Admission.make({ concurrentExecutions: 1 })
  const busy = makeBusy()
  const started = Deferred.makeUnsafe<ExecutionId>()
  const made = Deferred.makeUnsafe<ExecutionEngine>()
  const submits = tool({
    name: "submits",
    description: "Submits an execution and waits for it.",
    handler: () =>
      Effect.gen(function* () {
        const parentExecutionId = yield* Deferred.await(started)
        return yield* nest(yield* Deferred.await(made), { kind: "sdk", meta: { parentExecutionId } })
      })
  })
  const { engine } = yield* engineOf([...busy.tools, submits], { admission })
  yield* Deferred.succeed(made, engine)
  const onStart = (id: ExecutionId) => Deferred.doneUnsafe(started, Effect.succeed(id))
  const parent = yield* Effect.forkChild(engine.execute("return await tools.t.submits()", { onStart }))
  return { ...busy, admission, engine, parent }
})

const resultOf = (outcome: ExecutionOutcome | FinishedExecution) =>
  outcome.status === "paused" ? assert.fail("it waits") : (outcome.resultJson ?? outcome.error?.message)

layer(QuickJsExecutor.layer())("a nested submission", (it) => {
  const ways: Readonly<Record<string, Nest>> = {
    "does not wait for a place": (engine, trigger) => Effect.map(engine.execute("return 7", { trigger }), resultOf),
    "does not wait for a place after an answer": (engine, trigger) =>
      Effect.gen(function* () {
        const { id } = paused(yield* engine.executeWithPause(asking(7), { trigger }))
        return resultOf(yield* engine.resume(id, { action: "accept" }))
      }),
    "does not wait for a place after an answer that is given inline": (engine, trigger) =>
      Effect.gen(function* () {
        // While it only waits, it holds no place of its own.
        const onElicitation = () =>
          Effect.repeat(Effect.yieldNow, {
            until: () => Effect.map(engine.load, ({ underWay }) => underWay === 1)
          }).pipe(Effect.as({ action: "accept" } as const))
        return resultOf(yield* engine.execute(asking(7), { trigger, onElicitation }))
      }),
    "does not wait for a place where it is a fork": (engine, trigger) =>
      Effect.gen(function* () {
        const { executionId } = yield* engine.execute("return 1", { trigger })
        return resultOf((yield* engine.fork(executionId, "return 7", { trigger })).outcome)
      })
  }
  for (const [name, nest] of Object.entries(ways)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const { admission, parent } = yield* nesting(nest)
        yield* until(() => parent.pollUnsafe() !== undefined)
        const exit = parent.pollUnsafe()
        if (exit?._tag !== "Success") return assert.fail(String(exit))
        assert.deepStrictEqual([exit.value.status, exit.value.result], ["completed", "7"])
        assert.deepStrictEqual(admission.load(), { underWay: 0, queued: 0 })
      })
    )
  }

  it.effect("counts as under way: what comes next waits for both", () =>
    Effect.gen(function* () {
      const { admission, engine, held, letGo, made, parent } = yield* nesting((engine, trigger) =>
        Effect.map(engine.execute(holding(1), { trigger }), resultOf)
      )
      yield* until(() => held.has(1))
      const next = yield* Effect.forkChild(engine.execute(asking(2)), { startImmediately: true })
      assert.deepStrictEqual(admission.load(), { underWay: 2, queued: 1 })
      letGo(1)
      yield* until(() => parent.pollUnsafe() !== undefined && next.pollUnsafe() !== undefined)
      // Nobody could be asked.
      assert.deepStrictEqual(made, [1])
      assert.deepStrictEqual(admission.load(), { underWay: 0, queued: 0 })
    })
  )

  it.effect("waits like any other where its parent is not under way here", () =>
    Effect.gen(function* () {
      const admission = Admission.make({ concurrentExecutions: 1 })
      const { held, letGo, tools } = makeBusy()
      const { engine } = yield* engineOf(tools, { admission })
      const { executionId: parentExecutionId } = yield* engine.execute("return 1")
      yield* Effect.forkChild(engine.execute(holding(1)), { startImmediately: true })
      yield* until(() => held.has(1))
      const trigger = { kind: "sdk", meta: { parentExecutionId } } as const
      const next = yield* Effect.forkChild(engine.execute("return 2", { trigger }), { startImmediately: true })
      assert.deepStrictEqual(admission.load(), { underWay: 1, queued: 1 })
      letGo(1)
      yield* until(() => next.pollUnsafe() !== undefined)
    })
  )
})
