/**
 * `GET /executions/export`: what is in it, and that it costs what the caller takes.
 */
import { csvHeader, DBError, ExecutionId, type Executor } from "@executor/sdk"
import { assert, describe, it, layer } from "@effect/vitest"
import { Deferred, Effect, Stream } from "effect"
import { request as httpRequest, type IncomingMessage } from "node:http"
import { startServer, TestServer, token } from "./support.ts"

const linesOf = (text: string) => {
  assert.isTrue(text.endsWith("\n"))
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => JSON.parse(line))
}

layer(TestServer.layer, { excludeTestServices: true })("an export", (it) => {
  it.effect("has every record of the executions under the filters, oldest first and exact", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const run = (code: string, kind: string) => server.run(code, { "x-executor-trigger": kind })
      yield* run(`console.log("hi"); return { a: "\\u0000é😀", b: "=1" }`, "x")
      yield* run(`await tools.shop.fail()`, "y")
      const expression = '"a😀é".repeat(100_000)'
      const large = `"${"a😀é".repeat(100_000)}"`
      const big = yield* run(
        `for (const n of [1, 2, 3]) await tools.shop.echo({ n, text: "x".repeat(900_000) }); return ${expression}`,
        "x"
      )
      const paused = yield* run(`return await tools.shop.ask()`, "y")
      const answer = { action: "accept", content: { colour: "secret-colour" } }
      yield* server.send(`/executions/${paused.json.executionId}/resume`, { method: "POST", body: answer })
      yield* run(`await tools.shop.orders.pay({ order: 1 })`, "y")

      const all = yield* server.send("/executions/export")
      assert.strictEqual(all.status, 200)
      assert.include(all.headers["content-type"], "application/x-ndjson")
      const records = linesOf(all.text)
      assert.deepEqual(
        records.map(({ toolPath, triggerKind, type }) => [type, triggerKind ?? toolPath ?? ""].join(" ").trim()),
        [
          "execution x",
          "execution y",
          "toolCall shop.fail",
          "execution x",
          "toolCall shop.echo",
          "toolCall shop.echo",
          "toolCall shop.echo",
          "execution y",
          "toolCall shop.ask",
          "interaction",
          "execution y",
          "toolCall shop.orders.pay",
          "interaction"
        ]
      )
      // The tool gave the answer back as its result, which is in the history; the answer itself is not.
      assert.notProperty(records[9], "responsePrivateJson")
      assert.strictEqual(records[9].responseJson, `{"action":"accept"}`)
      const { id } = records[3]
      assert.strictEqual(id, big.json.executionId)
      assert.strictEqual(records[3].resultJson, large)
      const { type: _, ...execution } = records[3]
      assert.deepEqual(execution, (yield* server.send(`/executions/${id}`)).json.execution)
      const calls = (yield* server.send(`/executions/${id}/tool-calls`)).json
      assert.deepEqual(
        records.slice(4, 7),
        calls.map((call: object) => ({ type: "toolCall", ...call }))
      )
      // The same text as in one go, also where it was written in pieces.
      assert.strictEqual(all.text, records.map((record) => `${JSON.stringify(record)}\n`).join(""))

      const some = yield* server.send("/executions/export?trigger=!x&status=!failed&format=jsonl")
      assert.deepEqual(
        linesOf(some.text).map(({ type }) => type),
        ["execution", "toolCall", "interaction", "execution", "toolCall", "interaction"]
      )
      assert.strictEqual((yield* server.send("/executions/export?trigger=nobody")).text, "")

      const csv = yield* server.send("/executions/export?format=csv&trigger=x")
      assert.include(csv.headers["content-type"], "text/csv")
      const [head, first, second, rest] = csv.text.split("\r\n")
      assert.strictEqual(`${head}\r\n`, csvHeader)
      assert.strictEqual(first?.split(",")[1], `"completed"`)
      assert.isTrue(first?.endsWith(`"${JSON.stringify({ a: "\u0000é😀", b: "=1" }).replaceAll('"', '""')}"`))
      assert.isTrue(second?.endsWith(`"${large.replaceAll('"', '""')}"`))
      assert.strictEqual(rest, "")

      const stream = yield* server.client.executions.export({ query: { trigger: ["x"], format: "csv" } })
      const bytes = yield* Stream.runCollect(stream)
      assert.strictEqual(Buffer.concat(bytes).toString("utf8"), csv.text)
    })
  )

  it.effect("refuses what it does not know before it begins", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      for (const [query, name, ...words] of [
        ["format=xml", "format", '"csv"', '"xml"'],
        ["limit=5", "limit", "format, status"],
        ["from=2&to=1", "from", "to"],
        ["q=ab", "q", "3 characters"],
        [`tool=${"a,".repeat(100)}a`, "tool", "100"]
      ] as const) {
        const answer = yield* server.send(`/executions/export?${query}`)
        assert.strictEqual(answer.status, 400, query)
        assert.strictEqual(answer.json.errors[0].path.slice(0, 2).join(), `query,${name}`)
        for (const word of [name, ...words]) assert.include(answer.json.detail, word, query)
      }
      const stranger = yield* server.send("/executions/export", { headers: { authorization: undefined } })
      assert.strictEqual(stranger.status, 401)
    })
  )
})

/** Executions whose results fill a page of an export many times. */
const fill = Effect.fnUntraced(function* ({ executions, scopes }: Executor, count: number, chars: number) {
  const [scopeId] = scopes
  const resultJson = JSON.stringify("x".repeat(chars))
  for (let index = 0; index < count; index++) {
    const id = ExecutionId.make(`e${String(index).padStart(4, "0")}`)
    yield* executions.create({ id, scopeId, status: "running", code: "1", createdAt: index })
    yield* executions.update(scopeId, id, { status: "completed", resultJson })
  }
})

/** Asks for an export, and gives the answer once its head is there, with nothing of its body taken. */
const openExport = (url: string) =>
  Effect.callback<IncomingMessage>((resume) => {
    const request = httpRequest(
      `${url}/executions/export`,
      { headers: { authorization: `Bearer ${token}` }, agent: false },
      (response) => resume(Effect.succeed(response))
    )
    request.on("error", (cause) => resume(Effect.die(cause)))
    request.end()
  })

describe("an export that is larger than its caller takes", () => {
  it.live("is read only as far as it is taken", () =>
    Effect.gen(function* () {
      let reads = 0
      const server = yield* startServer({
        through: (adapter) => ({
          ...adapter,
          find: (options) => {
            if (options.table === "execution_output") reads++
            return adapter.find(options)
          }
        })
      })
      const count = 150
      yield* fill(server.executor, count, 1_000_000)
      const response = yield* openExport(server.url)
      // Much else is answered meanwhile, so whoever does not wait for the caller gets to the end.
      for (let index = 0; index < count; index++) yield* server.send("/executions?limit=1")
      assert.isBelow(reads, count / 2)
      const text = yield* Effect.promise(async () => {
        let characters = 0
        for await (const chunk of response.setEncoding("latin1")) characters += chunk.length
        return characters
      })
      assert.strictEqual(reads, count)
      assert.isAbove(text, count * 1_000_000)
    })
  )

  it.live("ends when the caller goes away", () =>
    Effect.gen(function* () {
      const held = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      let reads = 0
      const server = yield* startServer({
        through: (adapter) => ({
          ...adapter,
          find: (options) =>
            options.table === "execution_output" && ++reads === 3
              ? Effect.andThen(Deferred.succeed(held, undefined), Effect.never).pipe(
                  Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
                )
              : adapter.find(options)
        })
      })
      yield* fill(server.executor, 5, 1_000_000)
      const response = yield* openExport(server.url)
      response.resume()
      yield* Deferred.await(held)
      response.destroy()
      yield* Deferred.await(ended)
    })
  )

  it.live("is cut off when the history cannot be read to its end", () =>
    Effect.gen(function* () {
      let reads = 0
      const failed = new DBError({ message: "The disk is gone.", reason: "unavailable" })
      const server = yield* startServer({
        through: (adapter) => ({
          ...adapter,
          find: (options) =>
            options.table === "execution_output" && ++reads === 3 ? Effect.fail(failed) : adapter.find(options)
        })
      })
      yield* fill(server.executor, 5, 1_000_000)
      const response = yield* openExport(server.url)
      const end = yield* Effect.promise(async () => {
        try {
          for await (const _ of response);
          return "complete"
        } catch (cause) {
          return (cause as NodeJS.ErrnoException).code
        }
      })
      assert.strictEqual(end, "ECONNRESET")
    })
  )
})
