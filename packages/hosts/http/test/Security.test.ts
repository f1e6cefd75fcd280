import { HttpHost } from "@executor/host-http"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { send, startServer, TestServer, token } from "./support.ts"

const portOf = (url: string) => new URL(url).port

layer(TestServer.layer, { excludeTestServices: true })("a server with a token", (it) => {
  it.effect("wants it for everything but its health and its documentation", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const without = { headers: { authorization: undefined } }
      for (const path of ["/health", "/openapi.json", "/docs"]) {
        assert.strictEqual((yield* server.send(path, without)).status, 200, path)
      }
      for (const [method, path] of [
        ["GET", "/executions"],
        ["POST", "/executions"],
        ["GET", "/executions/x"],
        ["GET", "/executions/x/tool-calls"],
        ["GET", "/executions/x/interactions"],
        ["POST", "/executions/x/resume"],
        ["POST", "/executions/x/cancel"],
        ["GET", "/tools"],
        ["GET", "/tools/search"],
        ["GET", "/tools/shop.echo"],
        ["GET", "/sources"],
        ["POST", "/sources"],
        ["DELETE", "/sources/shop"],
        ["POST", "/sources/shop/refresh"],
        ["GET", "/events"]
      ] as const) {
        const answer = yield* server.send(path, { method, ...without })
        assert.strictEqual(answer.status, 401, `${method} ${path}`)
        assert.strictEqual(answer.json.type, "urn:executor:problem:unauthorized")
        assert.strictEqual(answer.headers["www-authenticate"], 'Bearer realm="executor"')
        assert.strictEqual(answer.headers["content-type"], "application/problem+json")
      }
    })
  )

  it.effect("takes no other, and no part of it", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const parts = ["", "Bearer", "Bearer ", "Bearer x", `Bearer ${token.slice(0, -1)}`, `Bearer ${token}x`]
      const others = [token, `Basic ${token}`, `Bearer ${token.toUpperCase()}`, `Bearer ${token}, Bearer ${token}`]
      const wrong = [...parts, ...others, `Bearer\t${token}`]
      for (const authorization of wrong) {
        assert.strictEqual((yield* server.send("/tools", { headers: { authorization } })).status, 401, authorization)
      }
      assert.strictEqual((yield* server.send("/tools", { headers: { authorization: `bearer ${token}` } })).status, 200)
    })
  )

  it.effect("does not read a body of somebody it does not know", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const raw = "x".repeat(HttpHost.defaultMaxRequestBytes + 1)
      const headers = { authorization: undefined, "content-type": "application/json" }
      assert.strictEqual((yield* server.send("/executions", { method: "POST", raw, headers })).status, 401)
    })
  )

  it.effect("answers to its own names only", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const port = portOf(server.url)
      for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST`, `[::1]:${port}`]) {
        assert.strictEqual((yield* server.send("/tools", { headers: { host } })).status, 200, host)
      }
      for (const host of [
        "evil.example",
        `evil.example:${port}`,
        "127.0.0.1.evil.example",
        "localhost.",
        "0.0.0.0",
        "[::]",
        "@"
      ]) {
        for (const path of ["/tools", "/health", "/nothing"]) {
          const answer = yield* server.send(path, { headers: { host } })
          assert.strictEqual(answer.status, 403, host)
          assert.strictEqual(answer.json.type, "urn:executor:problem:forbidden")
        }
      }
    })
  )

  it.effect("serves pages of its own origin only", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const host = `127.0.0.1:${portOf(server.url)}`
      const own = yield* server.send("/tools", { headers: { host, origin: `http://${host}` } })
      assert.strictEqual(own.status, 200)
      for (const origin of [
        "http://evil.example",
        "null",
        "http://127.0.0.1",
        `http://127.0.0.1:1`,
        `http://${host}.evil.example`,
        "",
        host,
        `http://localhost:${portOf(server.url)}`
      ]) {
        for (const method of ["GET", "POST", "OPTIONS"]) {
          const answer = yield* server.send("/executions", { method, headers: { host, origin } })
          assert.strictEqual(answer.status, 403, `${method} ${origin}`)
          assert.notProperty(answer.headers, "access-control-allow-origin")
        }
      }
    })
  )

  it.effect("keeps its answers out of caches", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      for (const path of ["/tools", "/nothing", "/health"]) {
        const { headers } = yield* server.send(path)
        assert.include(headers, { "cache-control": "no-store", "x-content-type-options": "nosniff" })
      }
    })
  )
})

describe("a server that is told of other names and origins", () => {
  it.live("answers to them, and lets the browser know", () =>
    Effect.gen(function* () {
      const origin = "https://app.example.com"
      const server = yield* startServer({ allowedHosts: ["executor.example.com"], allowedOrigins: [`${origin}/`] })
      const headers = { host: "executor.example.com", origin }
      const answer = yield* server.send("/tools", { headers })
      assert.strictEqual(answer.status, 200)
      assert.include(answer.headers, { "access-control-allow-origin": origin, vary: "origin" })
      const refused = yield* server.send("/tools", { headers: { ...headers, authorization: "Bearer x" } })
      assert.strictEqual(refused.status, 401)
      assert.include(refused.headers, { "access-control-allow-origin": origin })

      const preflight = yield* server.send("/executions", {
        method: "OPTIONS",
        headers: { ...headers, authorization: undefined }
      })
      assert.strictEqual(preflight.status, 204)
      assert.include(preflight.headers["access-control-allow-headers"], "authorization")

      const other = yield* server.send("/tools", { headers: { ...headers, origin: "https://other.example.com" } })
      assert.strictEqual(other.status, 403)
    })
  )
})

describe("a server without a token", () => {
  it.live("serves everybody who reaches it, but adds no source", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ token: "none" })
      const headers = { authorization: undefined }
      const run = yield* send(server.url, "/executions", { method: "POST", headers, body: { code: "return 1" } })
      assert.strictEqual(run.json.resultJson, "1")

      const body = { namespace: "list", pluginId: "lists", config: { tools: ["a"] } }
      const added = yield* send(server.url, "/sources", { method: "POST", headers, body })
      assert.strictEqual(added.status, 403)
      assert.include(added.json.detail, "needs the bearer token")
      assert.notInclude((yield* send(server.url, "/sources", { headers })).text, '"list"')
    })
  )

  it.live("does not start where other machines can reach it", () =>
    Effect.gen(function* () {
      for (const host of ["0.0.0.0", "::", "192.168.1.2", "example.com", "127.evil.example"]) {
        const error = yield* Effect.flip(startServer({ token: "none", host }))
        assert.include(error, { _tag: "HttpHostError", reason: "tokenWanted" })
      }
    })
  )

  it.live("starts on each loopback address", () =>
    Effect.gen(function* () {
      for (const host of ["localhost", "127.0.0.1", "127.0.0.2"]) {
        const { url } = yield* startServer({ token: "none", host })
        assert.strictEqual((yield* send(url, "/health")).status, 200, host)
      }
    })
  )
})

describe("a port", () => {
  it.live("that is taken is said to be", () =>
    Effect.gen(function* () {
      const { url } = yield* startServer()
      const error = yield* Effect.flip(startServer({ port: Number(portOf(url)) }))
      assert.include(error, { _tag: "HttpHostError", reason: "portTaken" })
      assert.include((error as HttpHost.HttpHostError).message, `Port ${portOf(url)} of 127.0.0.1 is taken`)
    })
  )
})
