/**
 * Submissions that are done once, executions that are run again, and everything that waits, over HTTP.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { TestServer } from "./support.ts"

layer(TestServer.layer, { excludeTestServices: true })("journals", (it) => {
  it.effect("an idempotency key has a submission done once", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const send = (code: string, key: string) =>
        server.send("/executions", { method: "POST", body: { code }, headers: { "idempotency-key": key } })
      const first = yield* send("return Math.random()", "order-1")
      const second = yield* send("return Math.random()", "order-1")
      assert.deepStrictEqual([first.status, second.status], [200, 200])
      assert.strictEqual(second.json.executionId, first.json.executionId)
      assert.strictEqual(second.json.resultJson, first.json.resultJson)
      const other = yield* send("return 2", "order-1")
      assert.deepStrictEqual([other.status, other.json.executionId], [409, first.json.executionId])
      const wrong = yield* send("return 2", "x".repeat(256))
      assert.deepStrictEqual([wrong.status, wrong.json.field], [400, "idempotencyKey"])
    })
  )

  it.effect("an execution is forked, previewed and replayed", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const code = `const [first] = await tools.search({ query: "orders" }); throw new Error("at " + first.path)`
      const { executionId } = (yield* server.run(code)).json
      const post = (path: string, body: object) =>
        server.send(`/executions/${executionId}/${path}`, { method: "POST", body })
      const same = yield* post("replay", {})
      assert.deepStrictEqual([same.status, same.json.same, same.json.calls], [200, true, 1])
      const fixed = `${code.split(";")[0]}; return first.path`
      const preview = yield* post("fork", { code: fixed, dryRun: true })
      assert.deepStrictEqual(preview.json, { report: { reused: 1, recorded: 1 } })
      const forked = yield* post("fork", { code: fixed })
      assert.strictEqual(forked.json.outcome.status, "completed")
      assert.deepStrictEqual(forked.json.report, { reused: 1, recorded: 1 })
      const row = (yield* server.send(`/executions/${forked.json.outcome.executionId}`)).json
      assert.strictEqual(row.execution.parentExecutionId, executionId)
      const waits = (yield* server.run("await tools.shop.orders.pay({ order: 3 })")).json
      const early = yield* server.send(`/executions/${waits.executionId}/replay`, { method: "POST", body: {} })
      assert.deepStrictEqual([early.status, early.json.reason], [409, "not_ended"])
    })
  )

  it.effect("everything that waits is listed page by page", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      for (let order = 0; order < 3; order++) yield* server.run(`await tools.shop.orders.pay({ order: ${order} })`)
      const seen: Array<string> = []
      let cursor = ""
      do {
        const page = (yield* server.send(`/interactions?status=pending&limit=2${cursor}`)).json
        for (const { execution, interaction } of page.interactions) {
          assert.strictEqual(interaction.executionId, execution.id)
          assert.notProperty(interaction, "responsePrivateJson")
          assert.include(execution.codePreview, "tools.shop.orders.pay")
          seen.push(interaction.id)
        }
        cursor = page.nextCursor === undefined ? "" : `&cursor=${page.nextCursor}`
      } while (cursor !== "")
      assert.isAtLeast(seen.length, 3)
      assert.strictEqual(new Set(seen).size, seen.length)
      assert.strictEqual((yield* server.send("/interactions?status=resolved")).status, 400)
      assert.strictEqual((yield* server.send("/interactions?cursor=x")).status, 400)
    })
  )
})
