/**
 * Calls that a program does not wait for: what becomes of them when it returns a value, and when it ends without.
 */
import { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Schema } from "effect"
import { add, engineOf } from "./support/harness.ts"

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("calls that the program does not wait for", (it) => {
  it.effect("get a short time to end, and are recorded without a place in the order", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      const slow = tool({
        name: "slow",
        description: "",
        handler: () => Effect.as(Deferred.await(release), "done")
      })
      const sandbox = yield* CodeExecutor
      const releaseSoon = Effect.sync(() => setImmediate(() => Deferred.doneUnsafe(release, Effect.void)))
      const codeExecutor = CodeExecutor.of({
        ...sandbox,
        execute: (...args) => Effect.onExit(sandbox.execute(...args), () => releaseSoon)
      })
      const { engine, history } = yield* engineOf([slow, add], { codeExecutor })
      const finished = yield* engine.execute("tools.t.slow(); await tools.t.add({ a: 1, b: 1 }); return 1")
      assert.strictEqual(finished.status, "completed")
      assert.strictEqual(finished.toolCallCount, 2)
      const [call] = yield* history.calls(finished.executionId)
      assert.strictEqual(call?.status, "completed")
      assert.strictEqual(call?.resultJson, `"done"`)
      assert.strictEqual(call?.settleSeq, null)
    })
  )

  it.effect("are made to the last where it gives no value, and again on its journal", () =>
    Effect.gen(function* () {
      const written: Array<unknown> = []
      const write = tool({
        name: "write",
        description: "",
        requiresApproval: true,
        input: Schema.Struct({ n: Schema.Number }),
        handler: (args) => Effect.sync(() => written.push(args))
      })
      const { engine, history } = yield* engineOf([write])
      const main =
        "async function main() { for (let n = 0; n < 3; n++) await tools.t.write({ n }); await tools.t.nope() }\n"
      for (const [code, status] of [
        ["main().catch(({ name }) => console.log(name))", "completed"],
        ["main()", "failed"]
      ] as const) {
        let outcome = yield* engine.executeWithPause(main + code)
        for (let asked = 0; outcome.status === "paused"; asked++) {
          assert.isTrue(outcome.execution.survives)
          assert.isBelow(asked, 3)
          outcome = yield* engine.resume(outcome.execution.id, { action: "accept" })
        }
        assert.strictEqual(outcome.status, status)
        assert.deepStrictEqual(written.splice(0), [{ n: 0 }, { n: 1 }, { n: 2 }])
        assert.include(outcome.logs[0]?.message, "`return await main()`")
        const { errorText, id } = yield* history.row(outcome.executionId)
        if (status === "failed") assert.match(errorText ?? "", /^ToolNotFound: .*"t\.nope"/)
        assert.deepStrictEqual(
          (yield* history.calls(id)).map(({ settleSeq, status }) => [status, settleSeq]),
          [
            ["completed", 0],
            ["completed", 1],
            ["completed", 2],
            ["failed", 3]
          ]
        )
        assert.isTrue((yield* engine.replay(id)).same)
      }
    })
  )

  it.effect("end in doubt if they had begun, as failed if they read only or had not", () =>
    Effect.gen(function* () {
      const write = tool({ name: "write", description: "", handler: () => Effect.never })
      const read = tool({
        name: "read",
        description: "",
        annotations: { readOnly: true },
        handler: () => Effect.never
      })
      const ask = tool({ name: "ask", description: "", requiresApproval: true, handler: () => "asked" })
      const { engine, history } = yield* engineOf([write, read, ask])
      const finished = yield* engine.execute(
        "tools.t.write(); tools.t.read(); tools.t.ask(); setTimeout(() => {}, 100000); await tools.search({ query: 'x' }); return 1",
        { onElicitation: () => Effect.never }
      )
      assert.strictEqual(finished.status, "completed")
      assert.strictEqual(finished.toolCallCount, 5)
      const calls = yield* history.calls(finished.executionId)
      assert.deepStrictEqual(
        calls.map(({ settleSeq, status, toolPath }) => [toolPath, status, settleSeq]),
        [
          ["t.write", "in_doubt", null],
          ["t.read", "failed", null],
          ["t.ask", "failed", null],
          ["executor.sleep", "failed", null],
          ["search", "completed", 0]
        ]
      )
      const [question] = yield* history.interactions(finished.executionId)
      assert.strictEqual(question?.status, "cancelled")
    })
  )
})
