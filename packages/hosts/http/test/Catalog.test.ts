import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { TestServer } from "./support.ts"

layer(TestServer.layer, { excludeTestServices: true })("the catalog over HTTP", (it) => {
  it.effect("lists, finds and describes tools", () =>
    Effect.gen(function* () {
      const { send } = yield* TestServer
      const pathsOf = (tools: ReadonlyArray<{ readonly path: string }>) => tools.map(({ path }) => path)
      const all = ["shop.ask", "shop.echo", "shop.fail", "shop.hold", "shop.orders.pay", "shop.wait"]
      assert.sameMembers(pathsOf((yield* send("/tools")).json), all)
      assert.sameMembers(pathsOf((yield* send("/tools?namespace=shop")).json), all)
      assert.deepEqual((yield* send("/tools?namespace=nothing")).json, [])

      const found = (yield* send("/tools/search?query=pays+an+order&limit=1")).json
      assert.deepEqual([found.length, found[0].tool.path], [1, "shop.orders.pay"])
      assert.isNumber(found[0].score)
      assert.deepEqual((yield* send("/tools/search?query=pay&namespace=nothing")).json, [])

      const described = (yield* send("/tools/shop.orders.pay")).json
      assert.include(described, { path: "shop.orders.pay", requiresApproval: true })
      assert.deepEqual(described.inputSchema.required, ["order"])
    })
  )

  it.effect("knows no tool that is not there, but those that look like it", () =>
    Effect.gen(function* () {
      const { send } = yield* TestServer
      const answer = yield* send("/tools/shop.eco")
      assert.strictEqual(answer.status, 404)
      assert.strictEqual(answer.json.type, "urn:executor:problem:tool-not-found")
      assert.include(answer.json.suggestions, "shop.echo")
    })
  )

  it.effect("refuses a search that says not what for, or wants too much", () =>
    Effect.gen(function* () {
      const { send } = yield* TestServer
      for (const [path, name] of [
        ["/tools/search", "query"],
        ["/tools/search?query=a&limit=101", "limit"],
        ["/tools/search?query=a&limit=0", "limit"],
        ["/tools/search?q=a&query=b", "q"],
        ["/tools?name=x", "name"],
        ["/tools?namespace=", "namespace"]
      ] as const) {
        const answer = yield* send(path)
        assert.strictEqual(answer.status, 400, path)
        assert.include(answer.json.detail, `"${name}"`)
      }
    })
  )

  it.effect("adds, uses, refreshes and removes a source", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const post = (path: string, body?: unknown) =>
        server.send(path, { method: "POST", ...(body === undefined ? {} : { body }) })
      const body = { namespace: "letters", pluginId: "lists", config: { tools: ["a", "b", "no name", "b"] } }
      const added = yield* post("/sources", body)
      assert.strictEqual(added.status, 201)
      assert.include(added.json, { namespace: "letters", pluginId: "lists", kind: "dynamic", toolCount: 2 })
      const omitted = (answer: typeof added) => answer.json.omitted.map(({ name }: { name: string }) => name)
      assert.deepEqual(omitted(added), ["no name", "b"])
      assert.match(added.json.omitted[0].reason, /a tool name is/)
      const sources = (yield* server.send("/sources")).json
      assert.sameMembers(
        sources.map(({ namespace }: { namespace: string }) => namespace),
        ["shop", "letters"]
      )
      assert.strictEqual((yield* server.run("return await tools.letters.a({})")).json.resultJson, '{"name":"a"}')

      assert.strictEqual((yield* post("/sources", body)).json.type, "urn:executor:problem:source-invalid")
      const refreshed = yield* post("/sources/letters/refresh")
      assert.deepEqual([refreshed.status, refreshed.json.toolCount], [200, 2])
      assert.deepEqual(omitted(refreshed), ["no name", "b"])
      assert.strictEqual((yield* server.send("/sources/letters", { method: "DELETE" })).status, 204)
      for (const again of [
        yield* server.send("/sources/letters", { method: "DELETE" }),
        yield* post("/sources/letters/refresh")
      ]) {
        assert.strictEqual(again.status, 404)
        assert.include(again.json, { type: "urn:executor:problem:source-not-found", namespace: "letters" })
      }
    })
  )

  it.effect("adds no source that its plugin refuses or cannot open", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const add = (body: unknown) => server.send("/sources", { method: "POST", body })
      for (const body of [
        { namespace: "bad name", pluginId: "lists", config: { tools: [] } },
        { namespace: "x", pluginId: "nothing", config: {} },
        { namespace: "x", pluginId: "lists", config: { tools: "a" } },
        { namespace: "shop", pluginId: "lists", config: { tools: [] } }
      ]) {
        const answer = yield* add(body)
        assert.strictEqual(answer.status, 422, answer.text)
        assert.include(answer.json, { type: "urn:executor:problem:source-invalid", namespace: body.namespace })
      }
      const broken = yield* add({ namespace: "x", pluginId: "lists", config: { tools: [], broken: true } })
      assert.strictEqual(broken.status, 502)
      assert.include(broken.json, { type: "urn:executor:problem:source-unavailable", namespace: "x" })
      const fixed = yield* server.send("/sources/shop", { method: "DELETE" })
      assert.strictEqual(fixed.status, 422)
    })
  )
})
