/**
 * Numbers that a number cannot hold, on their way through an execution and its journal.
 */
import { createExecutionEngine, type InteractionAnswer } from "@executor/execution"
import { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { createExecutor, definePlugin, type ElicitationRequest, tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { engineOf, gone, historyOf, paused, sqlite } from "./support/harness.ts"

const numbers = "[9007199254740993,-9223372036854775808,0.1234567890123456789,1e400,1e+21,0.1]"

/** A source that gives and takes numbers by their text, and notes what it takes. */
const makePlugin = () => {
  const taken: Array<string> = []
  const definition = { description: "", inputSchema: { type: "object" }, annotations: {} }
  const plugin = definePlugin({
    id: "numbers",
    source: {
      config: Schema.Struct({}),
      describe: () => "Numbers",
      open: () =>
        Effect.succeed({
          listTools: Effect.succeed({
            tools: [
              { ...definition, name: "give", requiresApproval: false },
              { ...definition, name: "take", requiresApproval: true }
            ]
          }),
          invoke: ({ name }, args) =>
            Effect.sync(() => {
              if (name === "take") taken.push(JSON.stringify(args))
              return {
                all: (JSON.parse(numbers.replaceAll(/[^[\],]+/g, '"$&"')) as Array<string>).map((text) =>
                  JSON.rawJSON(text)
                )
              }
            })
        })
    }
  })
  return { plugin, taken }
}

const code = `
  const { all } = await tools.n.give({})
  const took = await tools.n.take({ all, one: 2n ** 64n })
  return { kinds: all.map((each) => typeof each), took, all }`

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("numbers that a number cannot hold", (it) => {
  it.effect("are shown, sent, kept, replayed, forked, exported and imported as they were written", () =>
    Effect.gen(function* () {
      const codeExecutor = yield* CodeExecutor
      const adapter = yield* sqlite
      const { plugin, taken } = makePlugin()
      const start = Effect.fnUntraced(function* (db = adapter) {
        const executor = yield* createExecutor({ scopes: ["team"], adapter: db, plugins: [plugin] })
        const engine = yield* createExecutionEngine({ executor, codeExecutor, ...gone })
        return { engine, executor, history: historyOf(executor) }
      })
      const a = yield* start()
      yield* a.executor.sources.add({ namespace: "n", pluginId: "numbers", config: {} })
      const sent = `{"all":${numbers},"one":18446744073709551616}`
      const { id, interaction } = paused(yield* a.engine.executeWithPause(code))
      assert.strictEqual(JSON.stringify(interaction.request.args), sent)

      // Another engine goes on from the journal.
      const b = yield* start()
      const other = yield* b.engine.resume(id, { action: "accept" })
      if (other.status === "paused") return assert.fail("it has asked already")
      const result = `{"kinds":["bigint","bigint","object","object","number","number"],"took":{"all":${numbers}},"all":${numbers}}`
      assert.strictEqual(other.resultJson, result)
      assert.strictEqual(JSON.stringify(other.result), result)
      assert.deepStrictEqual(taken, [sent])
      const calls = yield* b.history.calls(id)
      assert.deepStrictEqual(
        calls.map(({ argsJson, resultJson }) => [argsJson, resultJson]),
        [
          ["{}", `{"all":${numbers}}`],
          [sent, `{"all":${numbers}}`]
        ]
      )
      assert.strictEqual((yield* b.engine.replay(id)).same, true)
      const fork = yield* b.engine.fork(id, code)
      assert.deepStrictEqual([fork.report.reused, taken.length], [2, 1])
      const changed = yield* b.engine.previewFork(id, code.replace("2n ** 64n", "2n ** 64n + 1n"))
      assert.strictEqual(changed.divergence?.made?.argsJson, sent.replace("551616", "551617"))
    })
  )

  it.effect("are no answer to a form, as they could be changed on their way", () =>
    Effect.gen(function* () {
      const form = tool({
        name: "form",
        description: "",
        handler: (_, context) =>
          context.elicit({
            kind: "form",
            message: "?",
            requestedSchema: { type: "object", properties: { n: { type: "number" } } }
          } satisfies ElicitationRequest)
      })
      const { engine } = yield* engineOf([form])
      const { id } = paused(yield* engine.executeWithPause("return await tools.t.form()"))
      for (const n of [2 ** 53, 1n, JSON.rawJSON("0.1234567890123456789")]) {
        const refused = yield* Effect.flip(engine.resume(id, { action: "accept", content: { n } } as InteractionAnswer))
        assert.include(refused.message, "`content.n` is a number of more digits")
      }
      const ended = yield* engine.resume(id, { action: "accept", content: { n: 1.5 } })
      assert.strictEqual("resultJson" in ended && ended.resultJson, '{"action":"accept","content":{"n":1.5}}')
    })
  )
})
