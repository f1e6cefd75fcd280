import { assert, describe, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { outcomeOf, resultOf, textOf } from "./support/Answer.ts"
import { Connection, kinds, layer as connection } from "./support/Connection.ts"

const maxAnswerCharacters = 100_000

for (const kind of kinds) {
  for (const elicitation of [undefined, { form: {} }]) {
    describe(`a ${kind} client that ${elicitation === undefined ? "cannot" : "can"} be asked`, () => {
      layer(connection(kind, elicitation), { excludeTestServices: true })((it) => {
        it.effect("sees three strict tools, described by the engine", () =>
          Effect.gen(function* () {
            const { listTools } = yield* Connection
            const [execute, resume, executions, ...others] = yield* listTools
            assert.deepEqual(others, [])
            assert.strictEqual(execute?.name, "execute")
            assert.include(execute?.description ?? "", "demo")
            assert.deepInclude(execute?.inputSchema, { required: ["code"], additionalProperties: false })
            assert.strictEqual(executions?.name, "executions")
            assert.deepInclude(executions?.inputSchema, { additionalProperties: false })
            assert.strictEqual(resume?.name, "resume")
            assert.deepInclude(resume?.inputSchema, {
              required: ["executionId", "action"],
              additionalProperties: false
            })
          })
        )

        it.effect("gets the result and the console output, and is in the history", () =>
          Effect.gen(function* () {
            const { call, history } = yield* Connection
            const code = `console.warn("adding"); return { sum: await tools.demo.add({ a: 2, b: 3 }) }`
            const answer = yield* call("execute", { code })
            assert.deepEqual(resultOf(answer), { sum: 5 })
            const { executionId, logs, toolCallCount } = outcomeOf(answer)
            assert.deepEqual(
              logs.map(({ level, message }) => ({ level, message })),
              [{ level: "warn", message: "adding" }]
            )
            assert.strictEqual(toolCallCount, 1)
            for (const part of ['{"sum":5}', "[warn] adding", executionId]) assert.include(textOf(answer), part)

            const row = yield* history.get(executionId)
            assert.strictEqual(row.status, "completed")
            assert.strictEqual(row.code, code)
            assert.strictEqual(row.triggerKind, "mcp")
            assert.deepInclude(JSON.parse(row.triggerMetaJson ?? "{}"), {
              client: { name: "test-client", version: "4.5.6" }
            })
            assert.deepEqual(
              (yield* history.toolCalls(executionId)).map(({ status, toolPath }) => ({ status, toolPath })),
              [{ status: "completed", toolPath: "demo.add" }]
            )
          })
        )

        it.effect("is told what was wrong with the code, and where", () =>
          Effect.gen(function* () {
            const { call, history } = yield* Connection
            const answer = yield* call("execute", { code: `const a = 1\nthrow new RangeError("too far: " + a)` })
            assert.strictEqual(answer.isError, true)
            const { error, executionId, status } = outcomeOf(answer)
            assert.strictEqual(status, "failed")
            assert.deepInclude(error, { name: "RangeError", message: "too far: 1", line: 2 })
            assert.include(textOf(answer), "RangeError: too far: 1 (line 2")
            assert.strictEqual((yield* history.get(executionId)).status, "failed")
          })
        )

        it.effect("is told which arguments are wrong, and nothing runs", () =>
          Effect.gen(function* () {
            const { call, history } = yield* Connection
            const before = (yield* history.list).length
            const refused = [
              { tool: "execute", args: { code: "return 1", approve: ["*"] }, says: `"approve" is not an argument` },
              { tool: "execute", args: {}, says: `"code"` },
              { tool: "execute", args: { code: 7 }, says: `"code": Expected string` },
              { tool: "execute", args: { code: "  " }, says: "The code is empty" },
              { tool: "resume", args: { executionId: "x", action: "maybe" }, says: `"action"` },
              { tool: "resume", args: { executionId: "x", action: "accept" }, says: "x" }
            ]
            for (const { args, says, tool } of refused) {
              const answer = yield* call(tool, args)
              assert.strictEqual(answer.isError, true, says)
              assert.isUndefined(answer.structuredContent, says)
              assert.include(textOf(answer), says)
            }
            assert.strictEqual((yield* history.list).length, before)
          })
        )

        it.effect("is told which tools there are when it calls another", () =>
          Effect.gen(function* () {
            const { call } = yield* Connection
            const error = yield* Effect.flip(call("demo.add", { a: 1, b: 2 }))
            assert.include(error.message, "execute, resume and executions")
          })
        )

        it.effect("gets no more than fits, and is told how to get the rest", () =>
          Effect.gen(function* () {
            const { call, history } = yield* Connection
            const code = `for (let i = 0; i < 2000; i++) console.log("line " + i); return "x".repeat(2_000_000)`
            const answer = yield* call("execute", { code })
            assert.isBelow(JSON.stringify(answer).length, maxAnswerCharacters)
            const { executionId, logs, omitted, result } = outcomeOf(answer)
            assert.isUndefined(result)
            assert.strictEqual(omitted?.result?.characters, 2_000_002)
            assert.strictEqual((omitted?.logLines ?? 0) + logs.length, 2000)
            assert.strictEqual(logs.at(-1)?.message, "line 1999")
            assert.include(textOf(answer), "Return less")
            assert.strictEqual((yield* history.get(executionId)).resultJson?.length, 2_000_002)
          })
        )

        it.effect("has code with an idempotency key run once, and is told when the key was used for other code", () =>
          Effect.gen(function* () {
            const { call } = yield* Connection
            const send = (code: string) => call("execute", { code, idempotencyKey: "order-7" })
            const first = yield* send("return Math.random()")
            const second = yield* send("return Math.random()")
            assert.strictEqual(outcomeOf(second).executionId, outcomeOf(first).executionId)
            assert.strictEqual(resultOf(second), resultOf(first))
            const other = yield* send("return 2")
            assert.strictEqual(other.isError, true)
            assert.include(textOf(other), "was used for other code")
          })
        )

        it.effect("sees progress, rising, while tools are called", () =>
          Effect.gen(function* () {
            const { call } = yield* Connection
            const seen: Array<number> = []
            const code = `for (let i = 0; i < 30; i++) { await tools.demo.add({ a: i, b: 1 }) }`
            yield* call("execute", { code }, { onprogress: ({ progress }) => seen.push(progress) })
            assert.isAtLeast(seen.length, 1)
            assert.isBelow(seen.length, 30)
            assert.deepEqual(
              seen,
              [...new Set(seen)].toSorted((a, b) => a - b)
            )
          })
        )

        it.effect("cancels an execution that it no longer wants", () =>
          Effect.gen(function* () {
            const { call, history } = yield* Connection
            const controller = new AbortController()
            const calling = yield* Deferred.make<void>()
            const request = yield* call(
              "execute",
              { code: "await tools.demo.hang()" },
              { signal: controller.signal, onprogress: () => Deferred.doneUnsafe(calling, Effect.void) }
            ).pipe(Effect.flip, Effect.forkChild)
            yield* Deferred.await(calling)
            const { id } = yield* history.newestWith("running")
            controller.abort("changed my mind")
            yield* Fiber.join(request)
            const row = yield* history.until(id, "cancelled")
            assert.isNotNull(row.completedAt)
          })
        )
      })
    })
  }
}
