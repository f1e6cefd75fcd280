/**
 * Doing a submission once, and running an execution again on its journal.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { type StaticTool, tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { engineOf, paused, sqlite } from "./support/harness.ts"

/** A tool that notes its calls, fails on 13, and takes longer for even numbers. */
const makeTools = () => {
  const done: Array<number> = []
  const tools: ReadonlyArray<StaticTool> = [
    tool({
      name: "write",
      description: "Writes.",
      input: Schema.Struct({ n: Schema.Number }),
      handler: ({ n }) =>
        Effect.gen(function* () {
          done.push(n)
          if (n === 13) return yield* Effect.fail(new Error("thirteen"))
          for (let turn = 0; turn < (n % 2 === 0 ? 20 : 1); turn++) yield* Effect.yieldNow
          return { wrote: n }
        })
    }),
    tool({ name: "guarded", description: "Asks.", requiresApproval: true, handler: () => "yes" })
  ]
  return { done, tools }
}

const failing = `
  const both = await Promise.all([1, 2, 3].map((n) => tools.t.write({ n })))
  const order = []
  await Promise.all([4, 5].map((n) => tools.t.write({ n }).then(() => order.push(n))))
  await tools.t.write({ n: 13 })
  return order`

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("running again", (it) => {
  it.effect("an idempotency key runs its code once, in any engine, and refuses other code", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const { done, tools } = makeTools()
      const [a, b] = [yield* engineOf(tools, { adapter }), yield* engineOf(tools, { adapter })]
      const code = "return await tools.t.write({ n: 1 })"
      const idempotencyKey = "order 7"
      const ends = yield* Effect.all(
        [a, b, a, b].map(({ engine }) => engine.execute(code, { idempotencyKey })),
        { concurrency: "unbounded" }
      )
      ends.push(yield* b.engine.execute(code, { idempotencyKey }))
      assert.strictEqual(new Set(ends.map(({ executionId }) => executionId)).size, 1)
      assert.deepStrictEqual(
        ends.map(({ resultJson }) => resultJson),
        ends.map(() => `{"wrote":1}`)
      )
      assert.deepStrictEqual(done, [1])
      const conflict = yield* Effect.flip(a.engine.execute("return 2", { idempotencyKey }))
      assert.strictEqual(conflict._tag, "IdempotencyConflict")
      const refused = yield* Effect.flip(a.engine.execute(code, { idempotencyKey: " " }))
      assert.strictEqual(refused._tag === "ExecutionRefused" && refused.field, "idempotencyKey")
      assert.strictEqual((yield* a.history.rows).length, 1)
    })
  )

  it.effect("the same key gives an execution that waits, with its question", () =>
    Effect.gen(function* () {
      const { engine } = yield* engineOf(makeTools().tools)
      const code = "return await tools.t.guarded()"
      const first = paused(yield* engine.executeWithPause(code, { idempotencyKey: "k" }))
      const second = paused(yield* engine.executeWithPause(code, { idempotencyKey: "k" }))
      assert.deepStrictEqual([second.id, second.interaction.id], [first.id, first.interaction.id])
    })
  )

  it.effect("a replay calls nothing and says the same, or what differs", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      const { done, tools } = makeTools()
      const { engine, history } = yield* engineOf(tools, { adapter })
      const { executionId } = yield* engine.execute(failing)
      const calls = done.length
      const same = yield* engine.replay(executionId)
      assert.deepInclude(same, { same: true, calls: 6, divergence: undefined })
      assert.strictEqual(same.replayed.errorText, (yield* history.row(executionId)).errorText)

      const second = { op: "eq", column: "seq", value: 5 } as const
      const set = { status: "completed", result_json: "null", error_text: null }
      yield* adapter.write([{ op: "update", table: "execution_tool_call", where: second, set }])
      const other = yield* engine.replay(executionId)
      assert.isFalse(other.same)
      assert.deepStrictEqual([other.recorded.status, other.replayed.status], ["failed", "completed"])
      assert.strictEqual(other.replayed.resultJson, "[5,4]")

      const changed = { args_json: `{"n":99}` }
      yield* adapter.write([{ op: "update", table: "execution_tool_call", where: second, set: changed }])
      const diverged = yield* engine.replay(executionId)
      assert.deepStrictEqual(diverged.divergence, {
        recorded: { seq: 5, path: "t.write", argsJson: `{"n":99}` },
        made: { seq: 5, path: "t.write", argsJson: `{"n":13}` }
      })
      assert.strictEqual(done.length, calls)
      assert.strictEqual((yield* history.rows).length, 1)
    })
  )
})
