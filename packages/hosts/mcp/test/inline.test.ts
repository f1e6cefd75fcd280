import { assert, describe, it as test, layer } from "@effect/vitest"
import type { ElicitRequestParams } from "@modelcontextprotocol/client"
import { Deferred, Effect, Fiber } from "effect"
import { outcomeOf, resultOf, textOf, waitingIdOf } from "./support/Answer.ts"
import { Connection, kinds, layer as connection, make } from "./support/Connection.ts"

const send = `try { return await tools.demo.send({ to: "ann" }) } catch (error) { return error.message }`
const sendTwo = `
  const both = await Promise.allSettled([tools.demo.send({ to: "ann" }), tools.demo.send({ to: "bob" })])
  return both.map((one) => one.value ?? one.status)`

for (const kind of kinds) {
  describe(`a ${kind} client that can show forms`, () => {
    layer(connection(kind, { form: {} }), { excludeTestServices: true })((it) => {
      it.effect("is asked while the call is open", () =>
        Effect.gen(function* () {
          const { call, history, person } = yield* Connection
          const asked: Array<ElicitRequestParams> = []
          person(async (params) => {
            asked.push(params)
            return { action: "accept", content: {} }
          })
          const answer = yield* call("execute", { code: send })
          assert.deepEqual(resultOf(answer), { sent: "ann" })
          assert.strictEqual(asked.length, 1)
          assert.deepInclude(asked[0], { requestedSchema: { type: "object", properties: {} } })
          for (const part of ["demo.send", "ann"]) assert.include(asked[0]?.message, part)
          const [row] = yield* history.interactions(outcomeOf(answer).executionId)
          assert.deepInclude(row, { kind: "approval", status: "resolved", resolvedBy: "mcp" })
        })
      )

      for (const action of ["decline", "cancel"] as const) {
        it.effect(`lets nothing happen when its user answers ${action}`, () =>
          Effect.gen(function* () {
            const { call, history, person } = yield* Connection
            person(async () => ({ action }))
            const answer = yield* call("execute", { code: send })
            assert.isString(resultOf(answer))
            const { executionId } = outcomeOf(answer)
            assert.strictEqual((yield* history.toolCalls(executionId))[0]?.status, "failed")
            assert.strictEqual((yield* history.interactions(executionId))[0]?.responseJson, JSON.stringify({ action }))
          })
        )
      }

      it.effect("is asked two questions at once, and each answer reaches its call", () =>
        Effect.gen(function* () {
          const { call, person } = yield* Connection
          const both = Promise.withResolvers<void>()
          let open = 0
          person(async ({ message }) => {
            if (++open === 2) both.resolve()
            await both.promise
            return message.includes("bob") ? { action: "accept", content: {} } : { action: "decline" }
          })
          assert.deepEqual(resultOf(yield* call("execute", { code: sendTwo })), ["rejected", { sent: "bob" }])
        })
      )

      it.effect("shows a form with the fields that MCP has, and its content reaches the tool", () =>
        Effect.gen(function* () {
          const { call, person } = yield* Connection
          const asked: Array<ElicitRequestParams> = []
          person(async (params) => {
            asked.push(params)
            return { action: "accept", content: { name: "Ann", size: "M" } }
          })
          const answer = yield* call("execute", { code: `return await tools.demo.form()` })
          assert.deepEqual(resultOf(answer), { action: "accept", content: { name: "Ann", size: "M" } })
          assert.deepInclude(asked[0], {
            requestedSchema: {
              type: "object",
              properties: {
                name: { type: "string", title: "Name", minLength: 2 },
                size: { type: "string", enum: ["S", "M"] },
                age: { type: "integer", minimum: 0 }
              },
              required: ["name"]
            }
          })
        })
      )

      it.effect("gets the paused execution when what its user entered is refused", () =>
        Effect.gen(function* () {
          const { call, person } = yield* Connection
          person(async () => ({ action: "accept", content: { name: "A" } }))
          const paused = yield* call("execute", { code: `return await tools.demo.form()` })
          const executionId = waitingIdOf(paused)
          assert.include(textOf(paused), "did not work")
          const answer = yield* call("resume", { executionId, action: "accept", content: { name: "Upper" } })
          assert.deepEqual(resultOf(answer), { action: "accept", content: { name: "Upper" } })
        })
      )

      it.effect("gets the page to show to its user when it cannot open one", () =>
        Effect.gen(function* () {
          const { call, person } = yield* Connection
          person(async () => ({ action: "accept", content: {} }))
          const paused = yield* call("execute", {
            code: `await tools.demo.send({ to: "x" }); return await tools.demo.page()`
          })
          const executionId = waitingIdOf(paused)
          assert.strictEqual(outcomeOf(paused).interaction?.url, "http://127.0.0.1:1/sign-in")
          assert.include(textOf(paused), "http://127.0.0.1:1/sign-in")
          assert.deepEqual(resultOf(yield* call("resume", { executionId, action: "accept" })), { action: "accept" })
        })
      )

      it.effect("is asked whatever comes after a resume", () =>
        Effect.gen(function* () {
          const { call, person } = yield* Connection
          const executionId = waitingIdOf(
            yield* call("execute", { code: `await tools.demo.page(); return await tools.demo.send({ to: "ann" })` })
          )
          person(async () => ({ action: "accept", content: {} }))
          assert.deepEqual(resultOf(yield* call("resume", { executionId, action: "accept" })), { sent: "ann" })
        })
      )

      it.effect("is asked as often as the code needs it", () =>
        Effect.gen(function* () {
          const { call, person } = yield* Connection
          let asked = 0
          person(async () => {
            asked++
            return { action: "accept", content: {} }
          })
          const code = `for (let i = 0; i < 12; i++) await tools.demo.send({ to: "n" + i }); return "done"`
          let answer = yield* call("execute", { code })
          while (outcomeOf(answer).status === "waiting_for_interaction") {
            answer = yield* call("resume", { executionId: outcomeOf(answer).executionId, action: "accept" })
          }
          assert.strictEqual(resultOf(answer), "done")
          assert.isAtLeast(asked, kind === "modern" ? 8 : 12)
        })
      )
    })
  })

  describe(`a ${kind} client that can open pages`, () => {
    layer(connection(kind, { form: {}, url: {} }), { excludeTestServices: true })((it) => {
      it.effect("is sent to the page", () =>
        Effect.gen(function* () {
          const { call, person } = yield* Connection
          const asked: Array<ElicitRequestParams> = []
          person(async (params) => {
            asked.push(params)
            return { action: "accept" }
          })
          assert.deepEqual(resultOf(yield* call("execute", { code: `return await tools.demo.page()` })), {
            action: "accept"
          })
          assert.deepInclude(asked[0], { mode: "url", url: "http://127.0.0.1:1/sign-in" })
        })
      )
    })
  })
}

for (const kind of ["legacy", "older-sdk"] as const) {
  describe(`a ${kind} client with an open question`, () => {
    test.live("is told to drop it when the execution ends without it", () =>
      Effect.gen(function* () {
        const { call, person } = yield* make(kind, { form: {} })
        person(({ message }) =>
          message.includes("ann") ? new Promise(() => {}) : Promise.resolve({ action: "accept", content: {} })
        )
        const code = `return await Promise.race([tools.demo.send({ to: "ann" }), tools.demo.send({ to: "bob" })])`
        assert.deepEqual(resultOf(yield* call("execute", { code })), { sent: "bob" })
      }).pipe(Effect.scoped)
    )

    test.live("can give up, and the execution is kept, told with a later result, and answered by resume", () =>
      Effect.gen(function* () {
        const { call, history, person } = yield* make(kind, { form: {} })
        const asked = yield* Deferred.make<void>()
        person(() => {
          Deferred.doneUnsafe(asked, Effect.void)
          return new Promise(() => {})
        })
        const controller = new AbortController()
        const request = yield* call("execute", { code: send }, { signal: controller.signal }).pipe(
          Effect.flip,
          Effect.forkChild
        )
        yield* Deferred.await(asked)
        const { id } = yield* history.newestWith("waiting_for_interaction")
        controller.abort("never mind")
        yield* Fiber.join(request)
        yield* Effect.repeat(call("execute", { code: "return 1" }), { until: (answer) => textOf(answer).includes(id) })
        assert.notInclude(textOf(yield* call("execute", { code: "return 1" })), id)
        assert.strictEqual((yield* history.get(id)).status, "waiting_for_interaction")
        const resumed = yield* call("resume", { executionId: id, action: "accept" })
        assert.deepEqual(resultOf(resumed), { sent: "ann" })
      }).pipe(Effect.scoped)
    )
  })
}
