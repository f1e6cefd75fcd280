import type { ExecutionLimits, ExecutionWithInteractionRecord } from "@executor/api"
import type { ExecutionEvent, ExecutionOptions, PendingInteraction } from "@executor/execution"
import { createExecutor, ExecutionId } from "@executor/sdk"
import { assert, describe, expectTypeOf, it, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, Stream } from "effect"
import { openDatabase, startServer, temporaryFolder, TestServer } from "./support.ts"

const approval = (order: number) => `return await tools.shop.orders.pay({ order: ${order} })`

layer(TestServer.layer, { excludeTestServices: true })("executions over HTTP", (it) => {
  it.effect("runs to its end, and is in the history", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const answer = yield* server.run(`console.log("hi"); return (await tools.shop.echo({ a: 1 })).a + 1`)
      assert.strictEqual(answer.status, 200)
      const { executionId, logs, ...rest } = answer.json
      assert.include(rest, { status: "completed", resultJson: "2", toolCallCount: 1 })
      assert.deepEqual([logs[0].level, logs[0].message], ["log", "hi"])

      const got = yield* server.send(`/executions/${executionId}`)
      assert.strictEqual(got.status, 200)
      assert.include(got.json.execution, { id: executionId, status: "completed", triggerKind: "http", resultJson: "2" })
      assert.isNull(got.json.pendingInteraction)

      const [call] = (yield* server.send(`/executions/${executionId}/tool-calls`)).json
      assert.include(call, { toolPath: "shop.echo", seq: 0, status: "completed", argsJson: '{"a":1}' })
      assert.deepEqual((yield* server.send(`/executions/${executionId}/interactions`)).json, [])
    })
  )

  it.effect("gives the result exactly as the sandbox wrote it", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const values = [
        `({ b: 1e21, a: -0, é: "\\u2028\\ud83d\\ude00\\u0000\\"/" })`,
        `[0.1 + 0.2, 123456789012345680000, null]`,
        `"x".repeat(1_000_000) + "ü"`,
        `"😀".repeat(100_000)`,
        `"a" + "😀".repeat(100_000)`,
        `["\\n\\"".repeat(50_000), "\\ud83d"]`,
        `Array.from({ length: 20_000 }, (_, i) => ({ i }))`
      ]
      for (const value of values) {
        const { executionId, resultJson } = (yield* server.run(`return ${value}`)).json
        // oxlint-disable-next-line no-eval -- the value as this process computes it
        assert.strictEqual(resultJson, JSON.stringify((0, eval)(value)))
        const { execution } = (yield* server.send(`/executions/${executionId}`)).json
        assert.strictEqual(execution.resultJson, resultJson)
        const [newest] = (yield* server.send("/executions?limit=1")).json.executions
        const { code, logsJson: _, resultJson: __, ...slim } = execution
        assert.deepEqual(newest.execution, { ...slim, codePreview: code.slice(0, 200) })
      }
    })
  )

  it.effect("leaves the result out when nothing is returned", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const { json } = yield* server.run("1 + 1")
      assert.strictEqual(json.status, "completed")
      assert.notProperty(json, "resultJson")
    })
  )

  it.effect("answers 200 for a program that fails, with where and why", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const thrown = yield* server.run(`const x = 1\nthrow new TypeError("no")`)
      assert.strictEqual(thrown.status, 200)
      assert.strictEqual(thrown.json.status, "failed")
      assert.include(thrown.json.error, { name: "TypeError", message: "no", line: 2 })

      const tool = yield* server.run(`await tools.shop.fail()`)
      assert.include(tool.json.error.message, "out of stock")
    })
  )

  it.effect("knows every limit of the engine", () =>
    Effect.sync(() => {
      expectTypeOf<keyof ExecutionLimits>().toEqualTypeOf<keyof NonNullable<ExecutionOptions["limits"]>>()
    })
  )

  it.effect("takes limits and approvals", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const body = { code: `for (;;) {}`, limits: { cpuTimeMs: 50 } }
      const limited = yield* server.send("/executions", { method: "POST", body })
      assert.include(limited.json.error, { name: "LimitExceeded", limit: "cpuTimeMs" })

      const approved = yield* server.send("/executions", {
        method: "POST",
        body: { code: approval(3), approve: ["shop.orders.*"] }
      })
      assert.include(approved.json, { status: "completed", resultJson: '{"paid":3}' })
    })
  )

  it.effect("records the trigger that the headers tell", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`
      const metaOf = Effect.fnUntraced(function* (headers: Record<string, string>) {
        const { executionId } = (yield* server.run("return 1", headers)).json
        const { execution } = (yield* server.send(`/executions/${executionId}`)).json
        return [execution.triggerKind, JSON.parse(execution.triggerMetaJson)]
      })
      assert.deepEqual(
        yield* metaOf({
          "x-executor-trigger": "cron.nightly-1",
          "x-executor-client": "@acme/job/2.0",
          "x-executor-user": "Ann Lee",
          traceparent
        }),
        ["cron.nightly-1", { client: { name: "@acme/job", version: "2.0" }, user: "Ann Lee", traceparent }]
      )
      // As trace context demands, what is malformed there is left out.
      assert.deepEqual(yield* metaOf({ traceparent: "00-zz" }), ["http", null])
    })
  )

  it.effect("pauses with 202, and resumes with the answer", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const paused = yield* server.run(approval(7))
      assert.strictEqual(paused.status, 202)
      const { executionId, interaction, interactions, status } = paused.json
      assert.strictEqual(status, "waiting_for_interaction")
      assert.deepEqual(interactions, [interaction])
      assert.include(interaction.request, { kind: "approval", toolPath: "shop.orders.pay" })
      assert.deepEqual(interaction.request.args, { order: 7 })

      const waiting = (yield* server.send(`/executions/${executionId}`)).json
      assert.strictEqual(waiting.execution.status, "waiting_for_interaction")
      assert.strictEqual(waiting.pendingInteraction.id, interaction.id)

      const resumed = yield* server.send(`/executions/${executionId}/resume`, {
        method: "POST",
        body: { action: "accept" },
        headers: { "x-executor-trigger": "web" }
      })
      assert.strictEqual(resumed.status, 200)
      assert.include(resumed.json, { status: "completed", resultJson: '{"paid":7}' })
      const [asked] = (yield* server.send(`/executions/${executionId}/interactions`)).json
      assert.include(asked, { id: interaction.id, status: "resolved", resolvedBy: "web" })
    })
  )

  it.effect("shows many questions with large arguments, each with its own", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const large = `tools.shop.orders.pay({ order, note: "x".repeat(200_000) })`
      const answer = yield* server.run(`return await Promise.all([1, 2, 3, 4].map((order) => ${large}))`)
      assert.strictEqual(answer.status, 202)
      const { executionId, interaction, interactions, status, toolCallCount } = answer.json
      assert.deepEqual([status, toolCallCount, interaction], ["waiting_for_interaction", 4, interactions[0]])
      assert.deepEqual(
        // Calls that are made at once ask in any order.
        interactions
          .map(({ request }: PendingInteraction) => request.args as { readonly order: number })
          .toSorted((left: { order: number }, right: { order: number }) => left.order - right.order),
        [1, 2, 3, 4].map((order) => ({ order, note: "x".repeat(200_000) }))
      )
      assert.strictEqual((yield* server.send(`/executions/${executionId}/cancel`, { method: "POST" })).status, 204)
    })
  )

  it.effect("answers each of several questions, in any order, and none twice", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const code = `return Promise.all([1, 2].map((order) => tools.shop.orders.pay({ order }).catch((e) => e.name)))`
      const { executionId, interactions } = (yield* server.run(code)).json
      assert.strictEqual(interactions.length, 2)
      const answer = (interactionId: string, action: string) =>
        server.send(`/executions/${executionId}/resume`, { method: "POST", body: { action, interactionId } })

      const first = yield* answer(interactions[1].id, "decline")
      assert.strictEqual(first.status, 202)
      assert.deepEqual(first.json.interaction.id, interactions[0].id)

      const twice = yield* answer(interactions[1].id, "accept")
      assert.strictEqual(twice.status, 409)
      assert.include(twice.json, {
        type: "urn:executor:problem:interaction-already-resolved",
        interactionStatus: "resolved"
      })

      const unknown = yield* answer("nothing-asked", "accept")
      assert.strictEqual(unknown.status, 404)
      assert.strictEqual(unknown.json.type, "urn:executor:problem:interaction-not-found")

      const last = yield* answer(interactions[0].id, "accept")
      assert.deepEqual(JSON.parse(last.json.resultJson), [{ paid: 1 }, "ElicitationDeclined"])

      const over = yield* answer(interactions[0].id, "accept")
      assert.strictEqual(over.status, 409)
      assert.strictEqual(over.json.type, "urn:executor:problem:interaction-already-resolved")
    })
  )

  it.effect("refuses an answer that does not fit, and keeps what was typed to itself", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const { executionId, interaction } = (yield* server.run("return await tools.shop.ask()")).json
      assert.strictEqual(interaction.request.requestedSchema.required[0], "colour")
      const resume = (content: unknown) =>
        server.send(`/executions/${executionId}/resume`, { method: "POST", body: { action: "accept", content } })

      const wrong = yield* resume({ colour: 5 })
      assert.strictEqual(wrong.status, 422)
      assert.include(wrong.json, { type: "urn:executor:problem:answer-invalid", executionId })

      // Long enough for a body that is written in pieces, if it were part of it.
      const colour = `s3cret-${"r".repeat(100_000)}`
      const right = yield* resume({ colour })
      assert.deepEqual(JSON.parse(right.json.resultJson), { action: "accept", colour })
      const asked = yield* server.send(`/executions/${executionId}/interactions`)
      assert.strictEqual(asked.json.length, 1)
      assert.notInclude(asked.text, "s3cret")
      assert.notProperty(asked.json[0], "responsePrivateJson")
    })
  )

  it.effect("cancels what waits and what runs, and nothing that has ended", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const cancel = (id: string) => server.send(`/executions/${id}/cancel`, { method: "POST" })
      const { executionId } = (yield* server.run(approval(1))).json
      const cancelled = yield* cancel(executionId)
      assert.deepEqual([cancelled.status, cancelled.text], [204, ""])
      const again = yield* cancel(executionId)
      assert.strictEqual(again.status, 409)
      assert.strictEqual(again.json.type, "urn:executor:problem:execution-not-cancellable")

      const started = yield* Deferred.make<ExecutionId>()
      yield* server.engine.events.pipe(
        Stream.filter((event) => event._tag === "ToolCallStarted" && event.toolPath === "shop.wait"),
        Stream.runForEach((event) => Deferred.succeed(started, event.executionId)),
        Effect.forkScoped({ startImmediately: true })
      )
      const running = yield* Effect.forkChild(server.run("await tools.shop.wait()"))
      const id = yield* Deferred.await(started)
      assert.strictEqual((yield* cancel(id)).status, 204)
      assert.include((yield* Fiber.join(running)).json, { executionId: id, status: "cancelled" })
    })
  )

  it.effect("knows no execution that is not there", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const id = "01890000-0000-7000-8000-000000000000"
      const answers = [
        yield* server.send(`/executions/${id}`),
        yield* server.send(`/executions/${id}/tool-calls`),
        yield* server.send(`/executions/${id}/interactions`),
        yield* server.send(`/executions/${id}/cancel`, { method: "POST" }),
        yield* server.send(`/executions/${id}/resume`, { method: "POST", body: { action: "accept" } }),
        yield* server.send(`/executions/${encodeURIComponent("'; drop table execution; --")}`)
      ]
      for (const answer of answers) {
        assert.strictEqual(answer.status, 404)
        assert.strictEqual(answer.headers["content-type"], "application/problem+json")
        assert.strictEqual(answer.json.type, "urn:executor:problem:execution-not-found")
      }
    })
  )

  it.effect("runs many at once, each with its own result", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const answers = yield* Effect.forEach(
        Array.from({ length: 40 }, (_, index) => index),
        (index) => server.run(`return (await tools.shop.echo({ v: ${index} })).v`),
        { concurrency: 16 }
      )
      assert.deepEqual(
        answers.map(({ json }) => json.resultJson),
        answers.map((_, index) => String(index))
      )
      assert.strictEqual(new Set(answers.map(({ json }) => json.executionId)).size, 40)
    })
  )

  it.effect("goes on when its caller disconnects", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const next = (tag: ExecutionEvent["_tag"]) =>
        server.engine.events.pipe(
          Stream.filter((event) => event._tag === tag),
          Stream.runHead,
          Effect.map(Option.getOrThrow),
          Effect.forkScoped({ startImmediately: true })
        )
      const started = yield* next("ToolCallStarted")
      const caller = yield* Effect.forkChild(server.run(`await tools.shop.hold(); return "done"`))
      yield* Fiber.join(started)
      yield* Fiber.interrupt(caller)
      // The server has seen the end of that connection before it answers on another.
      yield* server.send("/health")
      const finished = yield* next("ExecutionFinished")
      yield* server.release
      const { executionId } = yield* Fiber.join(finished)
      const { execution } = (yield* server.send(`/executions/${executionId}`)).json
      assert.include(execution, { status: "completed", resultJson: '"done"' })
    })
  )
})

layer(TestServer.layer, { excludeTestServices: true })("the list of executions", (it) => {
  it.effect("filters, sorts and pages as the query says", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      yield* server.run("return 'alpha'", { "x-executor-trigger": "a" })
      const before = Date.now()
      yield* server.run("throw new Error('beta')", { "x-executor-trigger": "b" })
      yield* server.run("return tools.shop.echo({})", { "x-executor-trigger": "c" })
      yield* server.run(approval(1), { "x-executor-trigger": "d" })

      const kinds = Effect.fnUntraced(function* (query: string) {
        const answer = yield* server.send(`/executions?${query}`)
        assert.strictEqual(answer.status, 200, answer.text)
        return answer.json.executions
          .map(({ execution }: ExecutionWithInteractionRecord) => execution.triggerKind)
          .join("")
      })
      assert.strictEqual(yield* kinds(""), "dcba")
      assert.strictEqual(yield* kinds("sort=createdAt:asc"), "abcd")
      assert.strictEqual(yield* kinds("sort=-createdAt"), "dcba")
      assert.strictEqual(yield* kinds("status=completed"), "ca")
      assert.strictEqual(yield* kinds("status=failed,waiting_for_interaction"), "db")
      assert.strictEqual(yield* kinds("status=failed&status=waiting_for_interaction"), "db")
      assert.strictEqual(yield* kinds("trigger=a,b&status=failed"), "b")
      assert.strictEqual(yield* kinds("trigger=unknown"), "")
      assert.strictEqual(yield* kinds("tool=shop.echo"), "c")
      assert.strictEqual(yield* kinds("tool=shop.*"), "dc")
      assert.strictEqual(yield* kinds("code=BETA"), "b")
      assert.strictEqual(yield* kinds("elicitation=true"), "d")
      assert.strictEqual(yield* kinds("elicitation=false"), "cba")
      assert.strictEqual(yield* kinds(`to=${before}`), "a")
      assert.strictEqual(yield* kinds(`from=${new Date(before).toISOString()}`), "dcb")
      assert.strictEqual(yield* kinds(`after=${before - 60_000}`), "dcba")
      assert.strictEqual(yield* kinds("from=2020-01-01&to=2020-02-01"), "")

      const first = (yield* server.send("/executions?limit=3&meta=true")).json
      assert.strictEqual(first.executions.length, 3)
      assert.include(first.meta, { totalRowCount: 4, filterRowCount: 4 })
      assert.deepInclude(first.meta.triggerCounts, { a: 1, b: 1, c: 1, d: 1 })
      const last = (yield* server.send(`/executions?limit=3&cursor=${first.nextCursor}`)).json
      assert.deepEqual([last.executions.length, last.nextCursor, last.meta], [1, undefined, undefined])
    })
  )

  it.effect("gives the parts of an execution that are named, and all when none is", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const { executionId } = (yield* server.run(`console.log("hi"); return "parts"`)).json
      const get = (query: string) => server.send(`/executions/${executionId}${query}`)
      const whole = (yield* get("")).json
      const { code, logsJson, resultJson, ...slim } = whole.execution
      assert.deepEqual(
        [code, resultJson, logsJson.includes("hi")],
        [`console.log("hi"); return "parts"`, '"parts"', true]
      )
      for (const [query, parts] of [
        ["?parts=result", { resultJson }],
        ["?parts=code,logs", { code, logsJson }],
        ["?parts=code&parts=result&parts=logs", { code, logsJson, resultJson }]
      ] as const) {
        assert.deepEqual((yield* get(query)).json, { ...whole, execution: { ...slim, ...parts } })
      }
      const refused = yield* get("?parts=code,everything")
      assert.strictEqual(refused.status, 400)
      for (const word of ["parts", '"result"', '"everything"']) assert.include(refused.json.detail, word)
      assert.strictEqual((yield* server.send("/executions/nope?parts=code")).status, 404)
    })
  )

  it.effect("finds a trigger kind whatever it is, and executions by what they did", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const { executions, scopes } = server.executor
      const kinds = ["a,b", "unknown", "!x", "back\\slash", null]
      for (const [index, triggerKind] of kinds.entries()) {
        yield* executions.create({
          id: ExecutionId.make(`trigger-${index}`),
          scopeId: scopes[0],
          status: "completed",
          code: "find me",
          triggerKind
        })
      }
      const found = Effect.fnUntraced(function* (parameters: Record<string, string>) {
        const answer = yield* server.send(`/executions?${new URLSearchParams({ code: "find me", ...parameters })}`)
        assert.strictEqual(answer.status, 200, answer.text)
        return answer.json.executions
          .map(({ execution }: { readonly execution: { readonly id: string } }) => Number(execution.id.at(-1)))
          .toSorted()
      })
      assert.deepEqual(yield* found({ trigger: "a\\,b" }), [0])
      assert.deepEqual(yield* found({ trigger: "=unknown" }), [1])
      assert.deepEqual(yield* found({ trigger: "=!x,unknown" }), [2, 4])
      assert.deepEqual(yield* found({ trigger: "back\\slash" }), [3])
      assert.deepEqual(yield* found({ trigger: "!a\\,b,!unknown" }), [1, 2, 3])
      assert.deepEqual(yield* found({ trigger: "!=!x" }), [0, 1, 3, 4])
      assert.deepEqual(yield* found({ status: "!completed" }), [])

      yield* server.run(`return tools.shop.echo({ needle: "HAYstack" })`, { "x-executor-trigger": "q" })
      const ran = yield* server.send("/executions?q=haySTACK&tool=*.echo")
      assert.strictEqual(ran.json.executions[0].execution.triggerKind, "q")
      assert.deepEqual((yield* server.send("/executions?q=haySTACK&tool=!shop.echo")).json.executions, [])
    })
  )

  it.effect("gives every tool call of an execution, however much that is", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      for (const [calls, size] of [
        [16, 10],
        [17, 10],
        [16, 40_000],
        [35, 40_000]
      ] as const) {
        const ran = yield* server.run(
          `for (let i = 0; i < ${calls}; i++) await tools.shop.echo({ i, text: "x".repeat(${size}) }); return 1`
        )
        const listed = (yield* server.send(`/executions/${ran.json.executionId}/tool-calls`)).json
        assert.deepEqual(
          listed.map(({ resultJson, seq }: { readonly resultJson: string; readonly seq: number }) => [
            seq,
            JSON.parse(resultJson).i,
            JSON.parse(resultJson).text.length
          ]),
          Array.from({ length: calls }, (_, i) => [i, i, size])
        )
      }
    })
  )

  it.effect("refuses a parameter or a value that it does not know, and says what is allowed", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      for (const [query, name, ...words] of [
        ["limt=5", "limt", "limit, cursor, status"],
        ["limit=0", "limit", "from 1 to 100", '"0"'],
        ["limit=1&limit=2", "limit", "once"],
        ["status=completed,runing", "status", '"waiting_for_interaction"', '"runing"'],
        ["status=!done", "status", '"!failed"', '"!done"'],
        ["trigger=a\\,b,!", "trigger", "\\,", '"!"'],
        [`trigger=${"a,".repeat(100)}b`, "trigger", "100"],
        ["q=ab", "q", "3 characters", '"ab"'],
        ["sort=updatedAt", "sort", '"createdAt:desc"'],
        ["from=yesterday", "from", "ISO 8601"],
        ["to=2026-11-22T16:00", "to", "offset"],
        ["after=-1", "after", "ISO 8601"],
        ["meta=1", "meta", '"true"'],
        ["elicitation=maybe", "elicitation", '"false"'],
        ["cursor=nonsense", "cursor", "cursor"],
        ["tool=", "tool", "tool paths"],
        ["tool=a,!", "tool", "github.*", '"!"'],
        ["from=2&to=1", "from", "to"],
        ["from=2026-02-30", "from", "ISO 8601"]
      ] as const) {
        const answer = yield* server.send(`/executions?${query}`)
        assert.strictEqual(answer.status, 400, query)
        assert.strictEqual(answer.json.type, "urn:executor:problem:bad-request")
        assert.strictEqual(answer.json.errors[0].path.slice(0, 2).join(), `query,${name}`)
        for (const word of [name, ...words]) assert.include(answer.json.detail, word, query)
      }
    })
  )
})

describe("an execution whose caller is gone", () => {
  it.live("is not left running when the server closes", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* startServer({ folder })
          const started = yield* server.engine.events.pipe(
            Stream.filter((event) => event._tag === "ToolCallStarted"),
            Stream.take(1),
            Stream.runDrain,
            Effect.forkScoped({ startImmediately: true })
          )
          const caller = yield* Effect.forkChild(server.run("await tools.shop.wait()"))
          yield* Fiber.join(started)
          yield* Fiber.interrupt(caller)
        })
      )
      const adapter = yield* openDatabase(folder)
      const executor = yield* createExecutor({ scopes: ["test"], adapter })
      const { executions } = yield* executor.executions.list(executor.scopes[0])
      assert.deepEqual(
        executions.map(({ execution }) => execution.status),
        ["cancelled"]
      )
    })
  )
})
