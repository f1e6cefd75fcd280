/**
 * What a model is told where more comes than the server can take.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { resultOf, textOf } from "./support/Answer.ts"
import { kinds, make } from "./support/Connection.ts"

for (const kind of kinds) {
  describe(`a ${kind} client of a server whose line is full`, () => {
    it.live("is told to try again, and runs nothing with a call that it cancels while that waits", () =>
      Effect.gen(function* () {
        const { call, history } = yield* make(kind, undefined, "narrow")
        const code = "await tools.demo.untilQueued({ count: 1 }); await tools.demo.untilQueued({ count: 0 }); return 1"
        const first = yield* Effect.forkChild(call("execute", { code }))
        const { id } = yield* history.newestWith("running")
        const controller = new AbortController()
        const { signal } = controller
        const second = yield* Effect.forkChild(Effect.flip(call("execute", { code: "return 2" }, { signal })))
        yield* Effect.repeat(history.toolCalls(id), { until: ({ length }) => length === 2 })

        const refused = yield* call("execute", { code: "return 3" })
        assert.strictEqual(refused.isError, true)
        assert.match(textOf(refused), /try again in \d+ s/)
        assert.isUndefined(refused.structuredContent)

        controller.abort("changed my mind")
        yield* Fiber.join(second)
        assert.strictEqual(resultOf(yield* Fiber.join(first)), 1)
        assert.strictEqual(resultOf(yield* call("execute", { code: "return 4" })), 4)
        assert.deepStrictEqual(
          (yield* history.list).map(({ codePreview }) => codePreview),
          ["return 4", code]
        )
      })
    )
  })
}
