/**
 * Calls that were sent and whose outcome nobody knows: what is recorded, what the code is told, and how often they are made.
 */
import { assert, it } from "@effect/vitest"
import type { ExecutionEngineOptions } from "@executor/execution"
import { OutcomeUnknown, tool, type ToolAnnotations } from "@executor/sdk"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { Effect, Exit, Scope } from "effect"
import { type AddressInfo, createServer } from "node:net"
import { engineOf, memory, paused, quietly, sqlite } from "./support/harness.ts"

const code = `
try {
  return { told: await tools.t.write({ n: 1 }) }
} catch (error) {
  return { told: error.name, outcome: error.outcome, message: error.message }
}`

/** A tool that writes each time, and answers from its `answersAt`th call on. */
const writer = (options: {
  readonly annotations?: ToolAnnotations
  readonly answersAt?: number
  readonly requiresApproval?: boolean
  readonly ends?: () => unknown
}) => {
  const { annotations, answersAt = Infinity, ends = lost, requiresApproval } = options
  const keys: Array<string | undefined> = []
  const write = tool({
    name: "write",
    description: "Writes.",
    input: { type: "object" },
    annotations,
    requiresApproval,
    handler: (_, { idempotencyKey }) => (keys.push(idempotencyKey) >= answersAt ? keys.length : ends())
  })
  return { write, keys }
}

const lost = () =>
  new OutcomeUnknown({ path: "t.write", message: "it was sent, and its server ended." }).pipe(Effect.fail)

interface Case {
  readonly annotations?: ToolAnnotations
  readonly answersAt?: number
  readonly policy?: ExecutionEngineOptions["inDoubt"]
  readonly effects: number
  readonly status: string
  readonly told: string | undefined
  readonly outcome?: string
}

/** Nobody can be asked in these. */
const cases: ReadonlyArray<Case> = [
  { effects: 1, status: "in_doubt", told: "OutcomeUnknown", outcome: "unknown" },
  { policy: "fail", effects: 1, status: "in_doubt", told: undefined },
  { policy: "repeat", effects: 2, status: "in_doubt", told: "OutcomeUnknown", outcome: "unknown" },
  { policy: "repeat", answersAt: 2, effects: 2, status: "completed", told: "2" },
  { annotations: { readOnly: true }, effects: 2, status: "failed", told: "ToolFailed" },
  { annotations: { readOnly: true }, answersAt: 2, effects: 2, status: "completed", told: "2" },
  { annotations: { idempotent: true }, effects: 2, status: "in_doubt", told: "OutcomeUnknown", outcome: "unknown" },
  { annotations: { idempotent: true }, policy: "fail", answersAt: 2, effects: 2, status: "completed", told: "2" },
  { annotations: { acceptsIdempotencyKey: true }, answersAt: 2, effects: 2, status: "completed", told: "2" },
  {
    annotations: { acceptsIdempotencyKey: true },
    effects: 2,
    status: "in_doubt",
    told: "OutcomeUnknown",
    outcome: "unknown"
  },
  { annotations: { acceptsIdempotencyKey: true }, policy: "fail", effects: 2, status: "in_doubt", told: undefined }
]

it.layer(QuickJsExecutor.layer({ workers: 1 }))("a call whose outcome is unknown", (it) => {
  it.effect("is recorded, told and repeated as its tool and the policy say, and replays the same", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      for (const { annotations, answersAt, effects, outcome, policy, status, told } of cases) {
        const { keys, write } = writer({ ...(annotations && { annotations }), ...(answersAt && { answersAt }) })
        const { engine, history } = yield* engineOf([write], { adapter, inDoubt: policy ?? "ask" })
        const end = yield* engine.execute(code)
        const [call] = yield* history.calls(end.executionId)
        const seen = end.result as { readonly told: unknown; readonly outcome?: string } | undefined
        const named = JSON.stringify({ annotations, policy, answersAt })
        assert.deepStrictEqual(
          [keys.length, call?.status, seen?.told === undefined ? undefined : String(seen.told), seen?.outcome],
          [effects, status, told, outcome],
          named
        )
        assert.deepStrictEqual([...new Set(keys)], [`${end.executionId}:0`], named)
        assert.strictEqual(end.error?.name, told === undefined ? "InDoubt" : undefined, named)
        const replayed = yield* engine.replay(end.executionId)
        assert.isTrue(replayed.same, named)
        assert.strictEqual(keys.length, effects, named)
      }
    })
  )

  it.effect("stays unknown where it is made again and then fails", () =>
    Effect.gen(function* () {
      const adapter = yield* memory
      for (const [annotations, told, status] of [
        [{ idempotent: true }, "OutcomeUnknown", "in_doubt"],
        [{ acceptsIdempotencyKey: true }, "OutcomeUnknown", "in_doubt"],
        [{ readOnly: true }, "ToolFailed", "failed"]
      ] as const) {
        let attempts = 0
        const ends = () => (++attempts === 1 ? lost() : Effect.fail(new Error("not found")))
        const { write } = writer({ annotations, ends })
        const { engine, history } = yield* engineOf([write], { adapter })
        const { executionId, result } = yield* engine.execute(code)
        const seen = result as Record<string, string>
        const [call] = yield* history.calls(executionId)
        assert.deepStrictEqual([attempts, seen["told"], call?.status], [2, told, status])
        assert.include(seen["message"] ?? "", "not found")
      }
    })
  )

  it.effect("waits for a person, in this process or another, and does as they say", () =>
    Effect.gen(function* () {
      const adapter = yield* sqlite
      for (const [content, effects, status, told] of [
        [{ outcome: "happened", result: "7" }, 1, "completed", "7"],
        [{ outcome: "did_not_happen" }, 2, "completed", "2"],
        [{ outcome: "unknown" }, 1, "in_doubt", "OutcomeUnknown"],
        [{ outcome: "give_up" }, 1, "in_doubt", undefined]
      ] as const) {
        for (const elsewhere of [false, true]) {
          const { keys, write } = writer({ answersAt: 2, requiresApproval: true })
          const scope = yield* Scope.make()
          const first = yield* Scope.provide(engineOf([write], { adapter }), scope)
          const approve = paused(yield* first.engine.executeWithPause(code))
          const doubt = paused(yield* first.engine.resume(approve.id, { action: "accept" }))
          assert.strictEqual(doubt.interactions[0]?.request.kind, "form")
          assert.include(doubt.interactions[0]?.request.message ?? "", "it was sent, and its server ended.")
          const [asked] = yield* first.history.calls(doubt.id)
          assert.deepStrictEqual([asked?.status, asked?.settleSeq, keys.length], ["in_doubt", null, 1])
          if (elsewhere) yield* Scope.close(scope, Exit.void)
          const { engine, history } = elsewhere ? yield* engineOf([write], { adapter }) : first
          const end = yield* engine.resume(doubt.id, { action: "accept", content })
          if (end.status === "paused") return assert.fail("it asks again")
          const [call] = yield* history.calls(doubt.id)
          const seen = end.result as { readonly told: unknown } | undefined
          assert.deepStrictEqual(
            [keys.length, call?.status, seen === undefined ? undefined : String(seen.told)],
            [effects, status, told],
            `${content.outcome} ${elsewhere}`
          )
          // The approval and the doubt, each asked once.
          assert.strictEqual((yield* history.interactions(doubt.id)).length, 2)
          if (!elsewhere) yield* Scope.close(scope, Exit.void)
        }
      }
    })
  )

  it.effect("is told apart from failures: timeouts, broken connections and hosts that break are no failures", () =>
    Effect.gen(function* () {
      const adapter = yield* memory
      const broken = (code: string, syscall?: string) =>
        new TypeError("fetch failed", { cause: Object.assign(new Error(code), { code, ...(syscall && { syscall }) }) })
      for (const [thrown, told, status] of [
        [new DOMException("timed out", "TimeoutError"), "OutcomeUnknown", "in_doubt"],
        [broken("UND_ERR_SOCKET"), "OutcomeUnknown", "in_doubt"],
        [broken("ECONNRESET", "read"), "OutcomeUnknown", "in_doubt"],
        [broken("ETIMEDOUT", "connect"), "ToolFailed", "failed"],
        [broken("ECONNREFUSED", "connect"), "ToolFailed", "failed"],
        [new Error("no such thing"), "ToolFailed", "failed"]
      ] as const) {
        const { keys, write } = writer({ ends: () => Promise.reject(thrown) })
        const { engine, history } = yield* engineOf([write], { adapter })
        const end = yield* engine.execute(code)
        const [call] = yield* history.calls(end.executionId)
        assert.deepStrictEqual(
          [(end.result as { readonly told: string }).told, call?.status, keys.length],
          [told, status, 1],
          String(thrown)
        )
      }
    })
  )

  it.effect("is that of a function whose HTTP request is answered and cannot be read", () =>
    Effect.gen(function* () {
      let answer = ""
      let requests = 0
      const server = yield* Effect.acquireRelease(
        Effect.sync(() =>
          createServer((socket) => {
            socket.on("error", () => undefined)
            socket.once("data", () => {
              requests++
              socket.end(answer)
            })
          })
        ),
        (listening) => Effect.callback<void>((resume) => void listening.close(() => resume(Effect.void)))
      )
      yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
      const { port } = server.address() as AddressInfo
      const ends = () => fetch(`http://127.0.0.1:${port}`, { method: "POST", body: "{}" }).then((it) => it.json())
      const { write } = writer({ ends })
      const { engine } = yield* engineOf([write])
      const answers = {
        nothing: "",
        "no HTTP": "garbage\r\n\r\n",
        "no chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        "no gzip": "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        "a broken body": 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": [1,',
        "half a body": 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a"'
      }
      for (const [what, text] of Object.entries(answers)) {
        answer = text
        const { result } = yield* engine.execute(code)
        assert.strictEqual((result as Record<string, string>)["outcome"], "unknown", what)
      }
      assert.strictEqual(requests, Object.keys(answers).length)
    })
  )

  it.effect("is known where only its result could not be kept", () =>
    Effect.gen(function* () {
      const adapter = yield* memory
      for (const result of [{ toJSON: () => assert.fail("no JSON") }, () => 1]) {
        const { write } = writer({ ends: () => Effect.succeed(result) })
        const { engine } = yield* engineOf([write], { adapter })
        const end = yield* quietly(engine.execute(code))
        const { message, outcome } = end.result as Record<string, string>
        assert.deepStrictEqual([outcome, message?.endsWith("The call has taken effect.")], ["happened", true])
      }
    })
  )

  it.effect("is asked about by a fork of an execution that ended with it, and taken where the code went on", () =>
    Effect.gen(function* () {
      const { keys, write } = writer({ answersAt: 2 })
      const { engine } = yield* engineOf([write], { adapter: yield* sqlite })
      const end = yield* engine.execute("return await tools.t.write({ n: 1 })")
      assert.deepStrictEqual([end.status, end.error?.name], ["failed", "OutcomeUnknown"])
      const fork = paused((yield* engine.fork(end.executionId, "return await tools.t.write({ n: 1 })")).outcome)
      assert.include(fork.interactions[0]?.request.message ?? "", end.executionId)
      assert.strictEqual(keys.length, 1)
      const second = writer({ answersAt: 2 })
      const goesOn = yield* engineOf([second.write], { adapter: yield* sqlite })
      const looks =
        "try { await tools.t.write({ n: 1 }) } catch (e) { return [e.outcome, await tools.t.write({ n: 2 })] }"
      const wentOn = yield* goesOn.engine.execute(looks)
      assert.deepStrictEqual(wentOn.result, ["unknown", 2])
      const { outcome } = yield* goesOn.engine.fork(wentOn.executionId, looks)
      assert.strictEqual(outcome.status === "paused" ? undefined : outcome.resultJson, wentOn.resultJson)
      assert.strictEqual(second.keys.length, 2)
    })
  )
})
