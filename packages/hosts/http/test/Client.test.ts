import { makeClient } from "@executor/api"
import { ExecutionId, ExecutionInteractionId } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { TestServer } from "./support.ts"

layer(TestServer.layer, { excludeTestServices: true })("the derived client", (it) => {
  it.effect("starts, answers and reads executions", () =>
    Effect.gen(function* () {
      const { client } = yield* TestServer
      const paused = yield* client.executions.create({
        payload: { code: "console.warn('careful'); return await tools.shop.orders.pay({ order: 5 })" },
        headers: {}
      })
      assert(paused.status === "waiting_for_interaction")
      assert.strictEqual(paused.interaction.request.toolPath, "shop.orders.pay")
      const params = { id: paused.executionId }
      const finished = yield* client.executions.resume({ params, payload: { action: "accept" }, headers: {} })
      assert(finished.status === "completed")
      assert.deepInclude(finished, { resultJson: '{"paid":5}', toolCallCount: 1 })
      assert.strictEqual(finished.logs[0]?.level, "warn")

      const { execution, pendingInteraction } = yield* client.executions.get({ params, query: {} })
      assert.include(execution, { status: "completed", triggerKind: "test" })
      assert.deepEqual(JSON.parse(execution.triggerMetaJson!).client, { name: "tests", version: "1.0.0" })
      assert.isNull(pendingInteraction)
      assert.strictEqual((yield* client.executions.toolCalls({ params }))[0]?.toolPath, "shop.orders.pay")
      assert.strictEqual((yield* client.executions.interactions({ params }))[0]?.resolvedBy, "test")

      const page = yield* client.executions.list({
        query: {
          limit: 1,
          status: ["completed", "failed"],
          trigger: ["test"],
          tool: ["shop.*"],
          from: execution.createdAt,
          sort: { field: "createdAt", direction: "asc" },
          elicitation: true,
          meta: true
        }
      })
      assert.strictEqual(page.executions[0]?.execution.id, paused.executionId)
      assert.strictEqual(page.meta?.filterRowCount, 1)
    })
  )

  it.effect("reads the catalog", () =>
    Effect.gen(function* () {
      const { client } = yield* TestServer
      assert.strictEqual((yield* client.tools.list({ query: { namespace: "shop" } })).length, 6)
      assert.strictEqual(
        (yield* client.tools.search({ query: { query: "echo", limit: 1 } }))[0]?.tool.path,
        "shop.echo"
      )
      assert.strictEqual((yield* client.tools.get({ params: { path: "shop.echo" } })).path, "shop.echo")
      const source = yield* client.sources.add({
        payload: { namespace: "l", pluginId: "lists", config: { tools: ["a"] } }
      })
      assert.include(source, { namespace: "l", toolCount: 1 })
      assert.strictEqual((yield* client.sources.list()).length, 2)
      assert.strictEqual((yield* client.sources.refresh({ params: { namespace: "l" } })).toolCount, 1)
      yield* client.sources.remove({ params: { namespace: "l" } })
      assert.strictEqual((yield* client.health()).status, "ok")
    })
  )

  it.effect("fails with the problem that the server answered", () =>
    Effect.gen(function* () {
      const { client, url } = yield* TestServer
      const params = { id: ExecutionId.make("nothing") }
      const missing = yield* Effect.flip(client.executions.get({ params, query: {} }))
      assert(missing._tag === "ExecutionNotFound")
      assert.deepInclude(missing, { status: 404, executionId: "nothing" })

      const refused = yield* Effect.flip(client.executions.create({ payload: { code: " " }, headers: {} }))
      assert(refused._tag === "ExecutionRefused")
      assert.include(refused, { status: 400, field: "code" })
      assert.include(refused.message, "empty")

      const asked = yield* client.executions.create({ payload: { code: "await tools.shop.ask()" }, headers: {} })
      const wrong = yield* Effect.flip(
        client.executions.resume({
          params: { id: asked.executionId },
          payload: { action: "accept", content: {} },
          headers: {}
        })
      )
      assert.strictEqual(wrong._tag, "AnswerInvalid")
      const unknown = yield* Effect.flip(
        client.executions.resume({
          params: { id: asked.executionId },
          payload: { action: "cancel", interactionId: ExecutionInteractionId.make("nothing") },
          headers: {}
        })
      )
      assert.strictEqual(unknown._tag, "InteractionNotFound")
      yield* client.executions.cancel({ params: { id: asked.executionId } })
      const over = yield* Effect.flip(client.executions.cancel({ params: { id: asked.executionId } }))
      assert.strictEqual(over._tag, "ExecutionNotCancellable")

      const tool = yield* Effect.flip(client.tools.get({ params: { path: "shop.eco" } }))
      assert(tool._tag === "ToolNotFound")
      assert.include(tool.suggestions, "shop.echo")

      const stranger = yield* makeClient({ baseUrl: url, token: "wrong" }).pipe(Effect.provide(FetchHttpClient.layer))
      assert.strictEqual((yield* Effect.flip(stranger.sources.list()))._tag, "Unauthorized")
      const nobody = yield* makeClient({ baseUrl: "http://127.0.0.1:1" }).pipe(Effect.provide(FetchHttpClient.layer))
      assert.strictEqual((yield* Effect.flip(nobody.health()))._tag, "HttpClientError")
    })
  )

  it.effect("follows what happens", () =>
    Effect.gen(function* () {
      const { client } = yield* TestServer
      const events = yield* client.events({ query: {} })
      const seen = yield* Effect.forkChild(
        Stream.runCollect(Stream.takeUntil(events, (event) => event._tag === "ExecutionFinished"))
      )
      const { executionId } = yield* client.executions.create({
        payload: { code: "await tools.shop.echo({})" },
        headers: {}
      })
      const collected = yield* Fiber.join(seen)
      assert.deepEqual(
        collected.map((event) => [event._tag, event.executionId]),
        ["ExecutionStarted", "ToolCallStarted", "ToolCallFinished", "ExecutionFinished"].map((tag) => [
          tag,
          executionId
        ])
      )
    })
  )
})
