/**
 * What a client gets for what is no message, at any point of a session: an answer, and the calls under way go on.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as History from "./support/History.ts"
import * as RawServer from "./support/RawServer.ts"

const messageBytes = 100_000

/** A line that is no message, with the id and the code of its answer. */
interface Malformed {
  readonly name: string
  readonly line: string
  readonly answers: ReadonlyArray<readonly [id: number | string | null, code: number]>
}

const large = JSON.stringify(`a " quote and {{[ `.repeat(10_000))
const unknownRevision = { "io.modelcontextprotocol/protocolVersion": "1999-01-01" }

const malformed: ReadonlyArray<Malformed> = [
  { name: "no JSON", line: "not json", answers: [[null, -32700]] },
  { name: "half a message", line: `{"jsonrpc":"2.0","id":7,"method":"ping"`, answers: [[null, -32700]] },
  { name: "no object", line: `"ping"`, answers: [[null, -32600]] },
  { name: "no method", line: `{"jsonrpc":"2.0","id":7}`, answers: [[7, -32600]] },
  { name: "no version of JSON-RPC", line: `{"id":"a","method":"ping"}`, answers: [["a", -32600]] },
  {
    name: "parameters that are a list",
    line: `{"jsonrpc":"2.0","id":8,"method":"ping","params":[1]}`,
    answers: [[8, -32600]]
  },
  { name: "an id that is none", line: `{"jsonrpc":"2.0","id":null,"method":"ping"}`, answers: [[null, -32600]] },
  { name: "a response that is none", line: `{"jsonrpc":"2.0","id":7,"result":3}`, answers: [[null, -32600]] },
  { name: "an empty batch", line: "[]", answers: [[null, -32600]] },
  {
    name: "a batch where the protocol has none",
    line: `[{"jsonrpc":"2.0","id":1001,"method":"ping"},{"jsonrpc":"2.0","id":1002,"method":"ping"},{}]`,
    answers: [
      [1001, -32600],
      [1002, -32600]
    ]
  },
  {
    name: "a large message, its id first",
    line: `{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":${large}}}`,
    answers: [[9, -32600]]
  },
  {
    name: "a large message, its id last",
    line: `{"method":"ping","params":{"id":1,"a":[${large}]},"jsonrpc":"2.0","id":"z"}`,
    answers: [["z", -32600]]
  },
  { name: "a large line that is no message", line: "x".repeat(3 * messageBytes), answers: [[null, -32600]] },
  {
    name: "a revision that does not exist",
    line: JSON.stringify({
      jsonrpc: "2.0",
      id: 11,
      method: "tools/list",
      params: { _meta: { ...RawServer.envelope, ...unknownRevision } }
    }),
    answers: [[11, -32022]]
  }
]

describe("what is no message", () => {
  it.live("is answered before, in the middle of, and after calls, which go on", () =>
    Effect.gen(function* () {
      const file = yield* History.temporaryFile
      const server = yield* RawServer.start(file, "normal", String(messageBytes))
      const sendAll = Effect.forEach(malformed, ({ answers, line, name }) =>
        Effect.gen(function* () {
          yield* server.write(`${line}\n`)
          for (const [id, code] of answers) {
            const { error, id: answered } = yield* server.read
            assert.deepStrictEqual([answered, error?.code], [id, code], name)
            assert.isAbove(error?.message.length ?? 0, 20)
          }
        })
      )
      yield* server.write("\n  \r\n")
      yield* sendAll
      const { result } = yield* server.request("initialize", RawServer.initialize)
      assert.deepInclude(result?.["serverInfo"], { name: "executor", version: "1.2.3" })
      yield* server.send({ method: "notifications/initialized" })
      yield* server.send({
        id: "call",
        method: "tools/call",
        params: { name: "execute", arguments: { code: `return await tools.demo.send({ to: "ann" })` } }
      })
      const { id } = yield* server.until(({ method }) => method === "elicitation/create")
      yield* sendAll
      // A byte order mark and the line ends of Windows are no fault.
      yield* server.write(
        `\uFEFF${JSON.stringify({ jsonrpc: "2.0", id, result: { action: "accept", content: {} } })}\r\n`
      )
      const called = yield* server.until((message) => message.id === "call")
      assert.deepInclude(called.result?.["structuredContent"], { status: "completed", result: { sent: "ann" } })
      yield* sendAll
      const pong = yield* server.request("ping", {})
      assert.deepStrictEqual(pong.result, {})
      yield* server.endInput
      assert.strictEqual(yield* server.exitCode, 0)
    }).pipe(Effect.scoped)
  )

  it.live("a version that does not exist is negotiated by initialize, and refused where a request names it", () =>
    Effect.gen(function* () {
      const file = yield* History.temporaryFile
      const initialize = { ...RawServer.initialize, protocolVersion: "1999-01-01" }
      const legacy = yield* RawServer.start(file)
      assert.strictEqual((yield* legacy.request("initialize", initialize)).result?.["protocolVersion"], "2025-11-25")
      const bad = yield* legacy.request("initialize", { ...initialize, protocolVersion: 3 })
      assert.isDefined(bad.error)
      const modern = yield* RawServer.start(file)
      const discovered = yield* modern.request("server/discover", { _meta: RawServer.envelope })
      const meta = { ...RawServer.envelope, ...unknownRevision }
      for (const envelope of [meta, RawServer.envelope, meta]) {
        const { error, result } = yield* modern.request("tools/list", { _meta: envelope })
        if (envelope === meta) {
          assert.strictEqual(error?.code, -32022)
          assert.deepInclude(error?.data, {
            supported: discovered.result?.["supportedVersions"],
            requested: "1999-01-01"
          })
        } else assert.isDefined(result)
      }
      assert.strictEqual((yield* modern.request("initialize", initialize)).error?.code, -32022)
    }).pipe(Effect.scoped)
  )
})

describe("a batch of protocol 2025-03-26", () => {
  it.live("is answered by one line, once all of its requests are, without those that were cancelled", () =>
    Effect.gen(function* () {
      const file = yield* History.temporaryFile
      const server = yield* RawServer.start(file)
      yield* server.request("initialize", {
        ...RawServer.initialize,
        capabilities: {},
        protocolVersion: "2025-03-26"
      })
      const request = (id: number | string, method: string, params: object = {}) => ({
        jsonrpc: "2.0",
        id,
        method,
        params
      })
      const execute = (id: number, code: string) => request(id, "tools/call", { name: "execute", arguments: { code } })
      const cancel = (requestId: number) => ({
        jsonrpc: "2.0",
        method: "notifications/cancelled",
        params: { requestId }
      })
      const send = (...messages: ReadonlyArray<unknown>) => server.write(`${JSON.stringify(messages)}\n`)
      const idsOf = (batch: ReadonlyArray<RawServer.Message>) => batch.map(({ id }) => String(id)).toSorted()

      yield* send(
        execute(101, "return 1"),
        { jsonrpc: "2.0", method: "notifications/initialized" },
        request("a", "ping"),
        3
      )
      const first = yield* server.readBatch
      assert.deepStrictEqual(idsOf(first), ["101", "a", "null"])
      assert.deepInclude(first.find(({ id }) => id === 101)?.result?.["structuredContent"], { result: 1 })
      assert.strictEqual(first.find(({ id }) => id === null)?.error?.code, -32600)

      yield* send(execute(102, "await tools.demo.hang()"), request(103, "ping"), request(104, "initialize"))
      yield* send(cancel(999), request(105, "ping"))
      assert.deepStrictEqual(idsOf(yield* server.readBatch), ["105"])
      assert.deepStrictEqual((yield* server.request("ping", {})).result, {})
      yield* send(cancel(102))
      assert.deepStrictEqual(idsOf(yield* server.readBatch), ["103", "104"])
    }).pipe(Effect.scoped)
  )
})
