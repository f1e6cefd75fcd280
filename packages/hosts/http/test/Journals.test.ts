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
      for (const key of ["", "x".repeat(256)]) {
        const wrong = yield* send("return 2", key)
        assert.deepStrictEqual([wrong.status, wrong.json.field], [400, "idempotencyKey"])
      }
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

  it.effect("a fork that waits for a person is a 202, however large its question", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const { executionId } = (yield* server.run("await tools.shop.echo({ a: 1 }); throw new Error('no')")).json
      for (const more of ["{}", "{ text: 'x'.repeat(100_000) }"]) {
        const code = `await tools.shop.echo({ a: 1 }); return await tools.shop.orders.pay({ order: 7, ...${more} })`
        const forked = yield* server.send(`/executions/${executionId}/fork`, { method: "POST", body: { code } })
        assert.strictEqual(forked.status, 202)
        const { outcome, report } = forked.json
        assert.deepInclude(report, { reused: 1, recorded: 1 })
        assert.strictEqual(report.divergence.made.path, "shop.orders.pay")
        assert.strictEqual(outcome.status, "waiting_for_interaction")
        const answered = yield* server.send(`/executions/${outcome.executionId}/resume`, {
          method: "POST",
          body: { action: "accept" }
        })
        assert.deepStrictEqual([answered.status, answered.json.resultJson], [200, '{"paid":7}'])
      }
    })
  )

  it.effect("what cannot be run again is refused by name", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const { executionId } = (yield* server.run("return await tools.shop.echo({ a: 1 })")).json
      const post = (path: string, body: object) => server.send(`/executions/${path}`, { method: "POST", body })
      for (const missing of [yield* post("nothing/fork", { code: "return 1" }), yield* post("nothing/replay", {})]) {
        assert.deepStrictEqual([missing.status, missing.json.executionId], [404, "nothing"])
      }
      for (const dryRun of [true, false]) {
        const empty = yield* post(`${executionId}/fork`, { code: " ", dryRun })
        assert.deepStrictEqual([empty.status, empty.json.field], [400, "code"])
      }
      const misspelled = yield* post(`${executionId}/replay`, { anybuild: true })
      assert.deepStrictEqual(misspelled.json.errors[0].path, ["payload", "anybuild"])
      const other = yield* post(`${executionId}/fork`, { code: "await tools.shop.echo({ a: 2 })", dryRun: true })
      assert.deepStrictEqual(other.json.report.divergence, {
        recorded: { seq: 0, path: "shop.echo", argsJson: '{"a":1}' },
        made: { seq: 0, path: "shop.echo", argsJson: '{"a":2}' }
      })
    })
  )

  it.effect("the derived client knows all of it", () =>
    Effect.gen(function* () {
      const { client } = yield* TestServer
      const once = { payload: { code: "throw new Error('no')" }, headers: { "idempotency-key": "client-1" } }
      const { executionId: id } = yield* client.executions.create(once)
      assert.strictEqual((yield* client.executions.create(once)).executionId, id)
      const conflict = yield* Effect.flip(client.executions.create({ ...once, payload: { code: "return 2" } }))
      assert(conflict._tag === "IdempotencyConflict")
      assert.strictEqual(conflict.executionId, id)

      const params = { id }
      assert.isTrue((yield* client.journals.replay({ params, payload: {} })).same)
      const pays = { code: "return await tools.shop.orders.pay({ order: 9 })" }
      const preview = yield* client.journals.fork({ params, payload: { ...pays, dryRun: true }, headers: {} })
      assert.isUndefined(preview.outcome)
      const forked = yield* client.journals.fork({ params, payload: pays, headers: {} })
      const { outcome } = forked
      assert(outcome?.status === "waiting_for_interaction")
      const granted = yield* client.journals.fork({ params, payload: { ...pays, approve: ["shop.*"] }, headers: {} })
      assert.strictEqual(granted.outcome?.status, "completed")

      const { interactions } = yield* client.journals.inbox({ query: { status: "pending" } })
      const waiting = interactions.find(({ execution }) => execution.id === outcome.executionId)
      assert.strictEqual(waiting?.interaction.id, outcome.interaction.id)
      assert.strictEqual(waiting?.execution.triggerKind, "test")
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
      for (const name of ["status", "cursor", "limit"]) {
        const wrong = yield* server.send(`/interactions?${name}=resolved`)
        assert.deepStrictEqual([wrong.status, wrong.json.errors[0].path], [400, ["query", name]])
      }
    })
  )
})
