/**
 * When an execution is said to wait for a person: at once, and never before all it can ask is asked.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { engineOf, paused } from "./support/harness.ts"

const write = tool({
  name: "write",
  description: "Writes.",
  requiresApproval: true,
  input: Schema.Struct({ n: Schema.Number }),
  handler: ({ n }) => `wrote ${n}`
})

const both = `
  const settle = (promise) => promise.then((value) => value, (error) => error.name + " " + error.data.action)
  return await Promise.all([settle(tools.t.write({ n: 1 })), settle(tools.t.write({ n: 2 }))])`

const quick = tool({ name: "quick", description: "", handler: () => null })

/** Asks at once, after many microtasks, after computing, and after a call. */
const chained = `
  const after = async (n) => { for (let i = 0; i < n; i++) await null; return tools.t.write({ n }) }
  const computed = async () => { for (let i = 0; i < 1e5; i++); return tools.t.write({ n: 3 }) }
  return await Promise.all([after(0), after(1000), computed(), tools.t.quick().then(() => after(50))])`

/** Timers that go on and on. */
const ticking = "async function ticking() { for (;;) await new Promise((r) => setTimeout(r, 1)) }"

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("an execution pauses", (it) => {
  it.effect("the first pause always has all questions that the code can ask before an answer", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([write, quick])
      for (let i = 0; i < 50; i++) {
        for (const [code, count] of [
          [both, 2],
          [chained, 4],
          ["await Promise.race([tools.t.write({ n: 1 }), ticking()])\n" + ticking, 1]
        ] as const) {
          const { id, interactions } = paused(yield* engine.executeWithPause(code))
          assert.strictEqual(interactions.length, count, code)
          yield* engine.cancel(id)
        }
      }
    })
  )

  it.effect("what the code does when a timer fires comes with the next pause", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([write])
      const code = `
        const later = new Promise((r) => setTimeout(r, 20)).then(() => null).then(() => tools.t.write({ n: 2 }))
        return await Promise.all([tools.t.write({ n: 1 }), later])`
      const first = paused(yield* engine.executeWithPause(code))
      assert.strictEqual(first.interactions.length, 1)
      yield* Effect.repeat(history.interactions(first.id), { until: ({ length }) => length === 2 })
      const second = paused(yield* engine.resume(first.id, { action: "accept", interactionId: first.interaction.id }))
      assert.deepStrictEqual(
        second.interactions.map(({ request }) => request.args),
        [{ n: 2 }]
      )
      const finished = yield* engine.resume(first.id, { action: "accept" })
      if (finished.status === "paused") assert.fail("it has no more questions")
      assert.deepStrictEqual(finished.result, ["wrote 1", "wrote 2"])
    })
  )

  it.effect("a timer of the code does not hold back a question", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([write])
      const code = "return await Promise.race([tools.t.write({ n: 1 }), new Promise((r) => setTimeout(r, 3600000))])"
      const { id } = paused(yield* engine.executeWithPause(code))
      const finished = yield* engine.resume(id, { action: "accept" })
      if (finished.status === "paused") assert.fail("it has no more questions")
      assert.strictEqual(finished.result, "wrote 1")
    })
  )

  it.effect("a tool that still works holds back a question, since it may lead to another", () =>
    Effect.gen(function* () {
      const slow = tool({ name: "slow", description: "", handler: () => Effect.sleep("200 millis") })
      const { engine } = yield* engineOf([write, slow])
      const code = "await Promise.all([tools.t.write({ n: 1 }), tools.t.slow().then(() => tools.t.write({ n: 2 }))])"
      const { id, interactions } = paused(yield* engine.executeWithPause(code))
      assert.strictEqual(interactions.length, 2)
      yield* engine.cancel(id)
    })
  )

  it.effect("more questions than calls may be under way are asked in turn", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf([write])
      const code = "return await Promise.all([1, 2, 3].map((n) => tools.t.write({ n })))"
      let outcome = yield* engine.executeWithPause(code, { limits: { toolCallsInFlight: 2 } })
      assert.strictEqual(paused(outcome).interactions.length, 2)
      let answers = 0
      while (outcome.status === "paused") {
        answers++
        outcome = yield* engine.resume(outcome.execution.id, { action: "accept" })
      }
      assert.strictEqual(answers, 3)
      assert.deepStrictEqual(outcome.result, ["wrote 1", "wrote 2", "wrote 3"])
    })
  )
})
