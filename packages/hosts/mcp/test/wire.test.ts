import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as History from "./support/History.ts"
import * as RawServer from "./support/RawServer.ts"

const start = Effect.fnUntraced(function* (...rest: ReadonlyArray<string>) {
  const file = yield* History.temporaryFile
  const history = yield* History.open(file)
  return { history, server: yield* RawServer.start(file, ...rest) }
})

const Executions = Schema.Struct({
  executions: Schema.Array(
    Schema.Struct({
      executionId: Schema.String,
      status: Schema.String,
      client: Schema.optionalKey(Schema.String),
      result: Schema.optionalKey(Schema.Unknown),
      interactions: Schema.optionalKey(Schema.Array(Schema.Struct({ args: Schema.Unknown })))
    })
  )
})
const decodeExecutions = Schema.decodeUnknownSync(Executions)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

const execute = (code: string, meta?: object) => ({
  name: "execute",
  arguments: { code },
  ...(meta === undefined ? {} : { _meta: meta })
})

describe("over standard input and output", () => {
  it.live("only protocol messages are written, whatever the host's code prints", () =>
    Effect.gen(function* () {
      const { server } = yield* start()
      yield* server.request("initialize", RawServer.initialize)
      yield* server.send({ method: "notifications/initialized" })
      const { result } = yield* server.request("tools/call", execute("return await tools.demo.print()"))
      assert.deepInclude(result?.["structuredContent"], { result: "printed" })
      yield* server.endInput
      assert.strictEqual(yield* server.exitCode, 0)
      assert.deepEqual(yield* server.rest, [])
      for (const line of ["a line of console.log", "a line of stdout.write"]) assert.include(server.errors(), line)
    }).pipe(Effect.scoped)
  )

  it.live("a trace of the client is kept when it is one", () =>
    Effect.gen(function* () {
      const { history, server } = yield* start()
      yield* server.request("tools/call", execute("return 1", { ...RawServer.envelope, traceparent }))
      yield* server.request("tools/call", execute("return 2", { ...RawServer.envelope, traceparent: "00-zz-01" }))
      const [second, first] = yield* history.list
      assert.deepInclude(JSON.parse(first?.triggerMetaJson ?? "{}"), {
        client: { name: "raw", version: "0" },
        traceparent
      })
      assert.notProperty(JSON.parse(second?.triggerMetaJson ?? "{}"), "traceparent")
    }).pipe(Effect.scoped)
  )

  it.live("a defect is logged with its cause, and told without it", () =>
    Effect.gen(function* () {
      const { server } = yield* start("broken")
      const listed = yield* server.request("tools/list", { _meta: RawServer.envelope })
      const called = yield* server.request("tools/call", execute("return 1", RawServer.envelope))
      assert.strictEqual(called.result?.["isError"], true)
      for (const answer of [listed, called]) {
        const told = JSON.stringify(answer)
        assert.notInclude(told, "secret")
        const [id] = /[0-9a-f-]{36}/.exec(told) ?? []
        assert.isDefined(id)
        assert.include(server.errors(), id ?? "")
      }
      assert.include(server.errors(), "the secret of /etc/host")
    }).pipe(Effect.scoped)
  )

  it.live("a state that no question was asked with is refused", () =>
    Effect.gen(function* () {
      const { history, server } = yield* start()
      const { result } = yield* server.request("tools/call", {
        ...execute("return 1", RawServer.envelope),
        requestState: "0198c1a2-0000-7000-8000-000000000000",
        inputResponses: { any: { action: "accept", content: {} } }
      })
      assert.strictEqual(result?.["isError"], true)
      assert.deepEqual(yield* history.list, [])
    }).pipe(Effect.scoped)
  )

  it.live("half of the answers keeps the other half of the questions open", () =>
    Effect.gen(function* () {
      const { server } = yield* start()
      const params = execute(
        `return await Promise.all([tools.demo.send({ to: "ann" }), tools.demo.send({ to: "bob" })])`,
        RawServer.envelope
      )
      const first = yield* server.request("tools/call", params)
      const questions = Object.keys(first.result?.["inputRequests"] ?? {})
      assert.strictEqual(questions.length, 2)
      const accept = (id: string) => ({ [id]: { action: "accept", content: {} } })
      const [one = "", two = ""] = questions
      const { requestState } = first.result ?? {}
      const second = yield* server.request("tools/call", { ...params, requestState, inputResponses: accept(two) })
      assert.deepEqual(Object.keys(second.result?.["inputRequests"] ?? {}), [one])
      const third = yield* server.request("tools/call", { ...params, requestState, inputResponses: accept(one) })
      assert.deepInclude(third.result?.["structuredContent"], { result: [{ sent: "ann" }, { sent: "bob" }] })
    }).pipe(Effect.scoped)
  )
})

describe("when the client goes away", () => {
  for (const leave of ["endInput", "hangUp", "terminate"] as const) {
    it.live(`by ${leave}, what runs is cancelled and the process ends`, () =>
      Effect.gen(function* () {
        const { history, server } = yield* start()
        yield* server.request("initialize", RawServer.initialize)
        yield* server.send({
          id: "call",
          method: "tools/call",
          params: execute("await tools.demo.hang()", { progressToken: 1 })
        })
        yield* server.until(({ method }) => method === "notifications/progress")
        yield* server[leave]
        assert.strictEqual(yield* server.exitCode, 0)
        const [row] = yield* history.list
        assert.strictEqual(row?.status, "cancelled")
        if (leave !== "terminate") assert.include(server.errors(), "unfinished: 0")
      }).pipe(Effect.scoped)
    )
  }

  it.live("with an open question, the execution is kept, and found again by its next session", () =>
    Effect.gen(function* () {
      const file = yield* History.temporaryFile
      const history = yield* History.open(file)
      const send = (to: string, meta?: object) => execute(`return await tools.demo.send({ to: "${to}" })`, meta)
      const waiting = Effect.map(history.list, (rows) =>
        rows.flatMap(({ id, status }) => (status === "waiting_for_interaction" ? [id] : []))
      )

      // The question is on a screen, and the client dies.
      const legacy = yield* RawServer.start(file)
      yield* legacy.request("initialize", RawServer.initialize)
      yield* legacy.send({ id: "call", method: "tools/call", params: send("ann") })
      yield* legacy.until(({ method }) => method === "elicitation/create")
      yield* legacy.hangUp
      assert.strictEqual(yield* legacy.exitCode, 0)
      const [ann = ""] = yield* waiting

      // The question is on its way to the client, and no answer comes.
      const modern = yield* RawServer.start(file)
      const asked = yield* modern.request("tools/call", send("bob", RawServer.envelope))
      assert.strictEqual(asked.result?.["resultType"], "input_required")
      yield* modern.endInput
      assert.strictEqual(yield* modern.exitCode, 0)
      const [bob = ""] = yield* waiting
      assert.deepStrictEqual(yield* waiting, [bob, ann])

      const next = yield* RawServer.start(file)
      const call = (name: string, args: object) =>
        Effect.map(
          next.request("tools/call", { name, arguments: args, _meta: RawServer.envelope }),
          ({ result }) => result ?? {}
        )
      const tools = JSON.stringify((yield* next.request("tools/list", { _meta: RawServer.envelope })).result)
      assert.include(tools, "`executions` finds it again")
      const first = yield* call("execute", { code: "return 1" })
      assert.deepInclude(first["structuredContent"], { result: 1, stillWaiting: [ann, bob] })
      assert.include(JSON.stringify(first["content"]), "Call `executions`")
      assert.notProperty((yield* call("execute", { code: "return 1" }))["structuredContent"], "stillWaiting")

      const found = yield* call("executions", {})
      const records = decodeExecutions(found["structuredContent"]).executions
      assert.deepStrictEqual(
        records.map(({ client, executionId, interactions, status }) => [
          executionId,
          status,
          client,
          interactions?.[0]?.args
        ]),
        [
          [ann, "waiting_for_interaction", "raw", { to: "ann" }],
          [bob, "waiting_for_interaction", "raw", { to: "bob" }]
        ]
      )
      for (const part of [ann, bob, "demo.send", "call `resume`"])
        assert.include(JSON.stringify(found["content"]), part)
      const resumed = yield* call("resume", { executionId: ann, action: "accept" })
      assert.deepInclude(resumed["structuredContent"], { result: { sent: "ann" } })
      const shown = decodeExecutions((yield* call("executions", { executionId: ann }))["structuredContent"])
      assert.deepInclude(shown.executions[0], { status: "completed", result: { sent: "ann" } })
      assert.strictEqual((yield* call("executions", { executionId: "nothing" }))["isError"], true)
    }).pipe(Effect.scoped)
  )

  it.live("with an open question, the execution is cancelled where the settings say so", () =>
    Effect.gen(function* () {
      const { history, server } = yield* start("cancelling")
      yield* server.request("initialize", RawServer.initialize)
      yield* server.send({
        id: "call",
        method: "tools/call",
        params: execute(`await tools.demo.send({ to: "ann" })`)
      })
      yield* server.until(({ method }) => method === "elicitation/create")
      yield* server.endInput
      assert.strictEqual(yield* server.exitCode, 0)
      const [row] = yield* history.list
      assert.strictEqual(row?.status, "cancelled")
      assert.strictEqual((yield* history.interactions(row?.id ?? ""))[0]?.status, "cancelled")
    }).pipe(Effect.scoped)
  )
})
