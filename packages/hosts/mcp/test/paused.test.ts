import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { outcomeOf, resultOf, textOf, waitingIdOf } from "./support/Answer.ts"
import { Connection, kinds, layer as connection } from "./support/Connection.ts"

const send = `try { return await tools.demo.send({ to: "ann" }) } catch (error) { return error.message }`
const sendTwo = `
  const both = await Promise.allSettled([tools.demo.send({ to: "ann" }), tools.demo.send({ to: "bob" })])
  return both.map((one) => one.value ?? one.status)`

for (const kind of kinds) {
  describe(`a ${kind} client that cannot be asked`, () => {
    layer(connection(kind, undefined), { excludeTestServices: true })((it) => {
      it.effect("gets the question, and brings the answer with resume", () =>
        Effect.gen(function* () {
          const { call, history } = yield* Connection
          const paused = yield* call("execute", { code: send })
          const executionId = waitingIdOf(paused)
          const { interaction } = outcomeOf(paused)
          assert.deepInclude(interaction, { kind: "approval", toolPath: "demo.send", args: { to: "ann" } })
          for (const part of ["demo.send", "ann", executionId, "`resume`", "do not answer yourself"]) {
            assert.include(textOf(paused), part)
          }
          assert.strictEqual((yield* history.get(executionId)).status, "waiting_for_interaction")

          const answer = yield* call("resume", { executionId, action: "accept" })
          assert.deepEqual(resultOf(answer), { sent: "ann" })
          const [row] = yield* history.interactions(executionId)
          assert.deepInclude(row, { status: "resolved", resolvedBy: "mcp", responseJson: `{"action":"accept"}` })

          const again = yield* call("resume", { executionId, action: "accept" })
          assert.strictEqual(again.isError, true)
          assert.include(textOf(again), executionId)
        })
      )

      for (const action of ["decline", "cancel"]) {
        it.effect(`lets nothing happen when the answer is ${action}`, () =>
          Effect.gen(function* () {
            const { call, history } = yield* Connection
            const executionId = waitingIdOf(yield* call("execute", { code: send }))
            assert.isString(resultOf(yield* call("resume", { executionId, action })))
            assert.strictEqual((yield* history.toolCalls(executionId))[0]?.status, "failed")
          })
        )
      }

      it.effect("answers each of two questions by its id, in any order", () =>
        Effect.gen(function* () {
          const { call } = yield* Connection
          const paused = yield* call("execute", { code: sendTwo })
          const executionId = waitingIdOf(paused)
          const idOf = (to: string) =>
            outcomeOf(paused).interactions?.find(({ args }) => JSON.stringify(args) === `{"to":"${to}"}`)?.id
          const half = yield* call("resume", { executionId, action: "accept", interactionId: idOf("bob") })
          assert.strictEqual(waitingIdOf(half), executionId)
          assert.strictEqual(outcomeOf(half).interactions?.length, 1)
          const answer = yield* call("resume", { executionId, action: "decline", interactionId: idOf("ann") })
          assert.deepEqual(resultOf(answer), ["rejected", { sent: "bob" }])
        })
      )

      it.effect("can correct an answer that does not fit a form", () =>
        Effect.gen(function* () {
          const { call, history } = yield* Connection
          const paused = yield* call("execute", { code: `return await tools.demo.form()` })
          const executionId = waitingIdOf(paused)
          assert.include(textOf(paused), `"minLength":2`)
          const wrong = yield* call("resume", { executionId, action: "accept", content: { name: "A" } })
          assert.strictEqual(wrong.isError, true)
          assert.include(textOf(wrong), "name")
          assert.strictEqual((yield* history.get(executionId)).status, "waiting_for_interaction")
          const right = yield* call("resume", { executionId, action: "accept", content: { name: "Ann", age: 3 } })
          assert.deepEqual(resultOf(right), { action: "accept", content: { name: "Ann", age: 3 } })
        })
      )
    })
  })
}
