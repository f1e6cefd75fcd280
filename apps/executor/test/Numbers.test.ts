/**
 * Numbers of every kind through every surface of the built command: what a server is sent, and what comes back, to the byte.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { makeCli, serve } from "./support.ts"

const server = fileURLToPath(new URL("fixtures/numberServer.ts", import.meta.url))

/** Numbers as they are given, and the shortest text of the same numbers. */
const given =
  "[0,-1,1.0,1e2,0.1,0.30000000000000004,9007199254740991,9007199254740993,-9223372036854775808,18446744073709551615," +
  '123456789012345678901234567890,0.1234567890123456789,1e400,"#1","9007199254740993"]'
const sent = given.replace("1.0,1e2", "1,100")
const result = `{"n":${sent},"text":${JSON.stringify(sent)}}`

/** The same in a program. */
const code = `return await tools.numbers.echo({ n: ${given
  .replaceAll(/(?<=[[,])-?\d{16,}(?=,)/g, (text) => (Number.isSafeInteger(Number(text)) ? text : `${text}n`))
  .replaceAll(/0\.1234567890123456789|1e400/g, 'JSON.rawJSON("$&")')} })`

describe("numbers of every kind", () => {
  it.live("reach a server, the caller and the history as they were written, by every way in", () =>
    Effect.gen(function* () {
      const cli = yield* makeCli()
      const added = yield* cli.run(["sources", "add", "mcp", "numbers", "--", process.execPath, server])
      assert.strictEqual(added.code, 0, added.stderr)

      const called = yield* cli.run(["call", "numbers.echo", `{"n":${given}}`, "--json"])
      assert.include(called.stdout, `"result":${result}`, called.stderr)
      const run = yield* cli.run(["run", "-e", code, "--json"])
      assert.include(run.stdout, `"result":${result}`, run.stderr)
      const { executionId } = JSON.parse(run.stdout)

      // An MCP client, line by line.
      const mcp = yield* cli.start(["mcp"])
      const send = (id: number, method: string, params: object) =>
        mcp.child.stdin?.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`)
      const clientInfo = { name: "test", version: "1.0.0" }
      send(1, "initialize", { protocolVersion: "2025-06-18", capabilities: {}, clientInfo })
      yield* mcp.shows('"id":1')
      mcp.child.stdin?.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
      send(2, "tools/call", { name: "execute", arguments: { code } })
      const answer = yield* mcp.shows(/"id":2[^]*\n|\n[^]*"id":2/)
      assert.include(answer, `"result":${result}`)
      assert.include(answer, JSON.stringify(result).slice(1, -1))

      // HTTP, the command over it, and a number that a body cannot carry.
      const { run: remote, url } = yield* serve(cli, "--no-auth")
      const over = yield* remote(["call", "numbers.echo", `{"n":${given}}`, "--json"])
      assert.include(over.stdout, `"result":${result}`, over.stderr)
      const post = (path: string, body: string) =>
        Effect.promise(async () => {
          const headers = { "content-type": "application/json" }
          const response = await fetch(`${url}${path}`, { method: "POST", headers, body })
          return [response.status, await response.text()] as const
        })
      const [status, body] = yield* post("/executions", JSON.stringify({ code }))
      assert.deepStrictEqual([status, JSON.parse(body).resultJson], [200, result])
      // What its schema would refuse, and the server takes.
      const args = '{"when":"soon","note":null,"kind":null,"limit":null,"deep":{"name":null},"labels":{"x-a":"b"}}'
      const [, lenient] = yield* post(
        "/executions",
        JSON.stringify({ code: `return await tools.numbers.lenient(${args})` })
      )
      assert.strictEqual(
        JSON.parse(JSON.parse(lenient).resultJson),
        '{"when":"soon","note":null,"kind":null,"deep":{"size":3},"labels":{"x-a":"b"},"mode":"fast"}'
      )
      const [refused, why] = yield* post(
        `/executions/${executionId}/resume`,
        '{"action":"accept","content":{"n":1e400}}'
      )
      assert.deepStrictEqual([refused, why.includes("more digits than a number can hold")], [400, true])

      // The history, and a copy of it.
      const file = join(cli.folder, "history.jsonl")
      assert.strictEqual((yield* remote(["executions", "export", "--output", file])).code, 0)
      const copy = yield* makeCli()
      assert.strictEqual((yield* copy.run(["executions", "import", file])).code, 0)
      const calls = JSON.parse((yield* copy.run(["executions", "tool-calls", executionId, "--json"])).stdout)
      const { argsJson, resultJson } = calls.toolCalls[0]
      assert.deepStrictEqual([argsJson, resultJson], [`{"n":${sent}}`, result])
      assert.include((yield* copy.run(["executions", "get", executionId])).stdout, "18446744073709551615")
    })
  )
})
