import { ExecutorApi } from "@executor/api"
import { HttpHost } from "@executor/host-http"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as OpenApi from "effect/http-api/OpenApi"
import * as fc from "fast-check"
import { connect } from "node:net"
import { gzipSync } from "node:zlib"
import { type Answer, type RunningServer, TestServer, token } from "./support.ts"

const problem = (answer: Answer, status: number, kind: string) => {
  assert.strictEqual(answer.status, status, answer.text)
  assert.strictEqual(answer.headers["content-type"], "application/problem+json")
  assert.include(answer.json, { status, type: `urn:executor:problem:${kind}` })
  assert.isString(answer.json.title)
  assert.isString(answer.json.detail)
}

const json = { "content-type": "application/json" }

/** Sends bytes as they are, and gives all that comes back. */
const sendBytes = (server: RunningServer, bytes: string) =>
  Effect.callback<string>((resume) => {
    let text = ""
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1", () => socket.write(bytes))
    socket.on("data", (chunk) => (text += chunk.toString("utf8")))
    socket.on("close", () => resume(Effect.succeed(text)))
    socket.on("error", () => socket.destroy())
  })

layer(TestServer.layer, { excludeTestServices: true })("a bad request", (it) => {
  it.effect("to a path that is none is a 404", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      for (const path of [
        "/",
        "/nothing",
        "/executions/a/b",
        "/executions/%E0%A4%A",
        "//",
        `/tools/${"a".repeat(600)}`
      ]) {
        problem(yield* server.send(path), 404, "route-not-found")
      }
    })
  )

  it.effect("with a method that the path does not take is a 405 that names those it does", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const put = yield* server.send("/executions", { method: "PUT", body: {} })
      problem(put, 405, "method-not-allowed")
      assert.sameMembers(put.headers["allow"]!.split(", "), ["GET", "HEAD", "POST"])
      problem(yield* server.send("/health", { method: "POST", body: {} }), 405, "method-not-allowed")
      problem(yield* server.send("/sources/shop", { method: "GET" }), 405, "method-not-allowed")
      problem(yield* server.send("/executions", { method: "PROPFIND" }), 405, "method-not-allowed")
    })
  )

  it.effect("with a body that is not JSON is a 400, and of another type a 415", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const post = (raw: string | Uint8Array, headers: Record<string, string> = json) =>
        server.send("/executions", { method: "POST", raw, headers })
      for (const raw of [
        "",
        "{",
        '{"code":',
        "nope",
        "null",
        "[]",
        '"code"',
        "1",
        "{}",
        '{"code":null}',
        "\u0000",
        "﻿{}"
      ]) {
        problem(yield* post(raw), 400, "bad-request")
      }
      const half = new Uint8Array([
        ...new TextEncoder().encode('{"code":"'),
        0xff,
        0xfe,
        ...new TextEncoder().encode('"}')
      ])
      const bytes = yield* post(half)
      problem(bytes, 400, "bad-request")
      assert.include(bytes.json.detail, "UTF-8")
      for (const type of [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/xml",
        ";"
      ]) {
        problem(yield* post('{"code":"return 1"}', { "content-type": type }), 415, "unsupported-media-type")
      }
      const zipped = gzipSync('{"code":"return 1"}')
      problem(yield* post(zipped, { ...json, "content-encoding": "gzip" }), 415, "unsupported-media-type")
      const charset = yield* post('{"code":"return 1"}', { "content-type": "application/json; charset=utf-8" })
      assert.strictEqual(charset.status, 200)
    })
  )

  it.effect("with a body that is too large is a 413, announced or not", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const raw = JSON.stringify({ code: "x".repeat(HttpHost.defaultMaxRequestBytes) })
      const announced = yield* server.send("/executions", {
        method: "POST",
        raw,
        headers: { ...json, "content-length": String(raw.length) }
      })
      problem(announced, 413, "payload-too-large")
      assert.strictEqual(announced.json.limitBytes, HttpHost.defaultMaxRequestBytes)
      const chunked = yield* server.send("/executions", {
        method: "POST",
        raw,
        headers: { ...json, "transfer-encoding": "chunked" }
      })
      problem(chunked, 413, "payload-too-large")
    })
  )

  it.effect("with a body that is nested without end is a 400", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const deep = (levels: number) => `${"[".repeat(levels)}1${"]".repeat(levels)}`
      const source = (config: string) => `{"namespace":"n","pluginId":"nothing","config":${config}}`
      const post = (raw: string) => server.send("/sources", { method: "POST", raw, headers: json })
      for (const levels of [128, 1_000, 100_000]) problem(yield* post(source(deep(levels))), 400, "bad-request")
      problem(yield* post(source(deep(127))), 422, "source-invalid")
      // Brackets in text are text.
      problem(yield* post(source(JSON.stringify('\\"' + deep(1_000)))), 422, "source-invalid")
    })
  )

  it.effect("with a query where there is none to ask is a 400 that names it", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      for (const path of ["/executions/none?limit=1", "/executions/none/tool-calls?limit=1", "/sources?limit=1"]) {
        const answer = yield* server.send(path)
        assert.strictEqual(answer.status, 400, path)
        assert.deepEqual(answer.json.errors[0].path, ["query", "limit"])
      }
      const started = yield* server.send("/executions?limit=1", { method: "POST", body: { code: "return 1" } })
      assert.strictEqual(started.status, 400)
      assert.strictEqual((yield* server.send("/executions/none?")).status, 404)
      const missing = yield* server.send("/tools/search")
      assert.deepEqual(missing.json.errors, [{ path: ["query", "query"], message: "Missing key" }])
    })
  )

  it.effect("with a field that is wrong or unknown is a 400 that names each", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      for (const [path, body, ...names] of [
        ["/executions", { code: 1, approve: "x", extra: true }, "code", "approve", "extra"],
        ["/executions", { code: "x", limits: { cpuTimeMs: 0, heap: 5 } }, "limits.cpuTimeMs", "limits.heap"],
        ["/executions", { code: "x", approve: ["a", 5] }, "approve.1"],
        ["/executions/x/resume", { action: "maybe" }, "action"],
        ["/executions/x/resume", { action: "accept", content: [], interactionId: "" }, "content", "interactionId"],
        ["/sources", { namespace: 5 }, "namespace", "pluginId", "config"]
      ] as const) {
        const answer = yield* server.send(path, { method: "POST", body })
        problem(answer, 400, "bad-request")
        assert.sameMembers(
          answer.json.errors.map((error: { path: Array<string> }) => error.path.slice(1).join(".")),
          names
        )
        for (const name of names) assert.include(answer.json.detail, `"${name}"`)
      }
    })
  )

  it.effect("with a submission that is none is a 400 that names the field", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      for (const [body, field] of [
        [{ code: "" }, "code"],
        [{ code: "x".repeat(256 * 1024 + 1) }, "code"],
        [{ code: "return 1", approve: ["a..b"] }, "approve"]
      ] as const) {
        const answer = yield* server.send("/executions", { method: "POST", body })
        problem(answer, 400, "execution-refused")
        assert.strictEqual(answer.json.field, field)
      }
    })
  )

  it.effect("with a bad header is a 400 that names it", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      for (const [name, value] of [
        ["x-executor-trigger", "UPPER"],
        ["x-executor-trigger", ""],
        ["x-executor-trigger", "a b"],
        ["x-executor-trigger", "x".repeat(65)],
        ["x-executor-client", "nameless"],
        ["x-executor-client", "a/b c"],
        ["x-executor-user", ""],
        ["x-executor-user", "x".repeat(129)],
        ["x-executor-user", "ann\tlee"]
      ] as const) {
        const answer = yield* server.run("return 1", { [name]: value })
        problem(answer, 400, "bad-request")
        assert.include(answer.json.detail, `"${name}"`)
        assert.deepEqual(answer.json.errors[0].path, ["headers", name])
      }
    })
  )

  it.effect("that is not HTTP is refused as a problem too", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const garbage = yield* sendBytes(server, "not http at all\r\n\r\n")
      assert.match(garbage, /^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json\r\n/)
      const headers = yield* sendBytes(server, `GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}\r\n\r\n`)
      assert.match(headers, /^HTTP\/1\.1 431 /)
      const hostless = yield* sendBytes(server, "GET /health HTTP/1.1\r\nconnection: close\r\n\r\n")
      assert.match(hostless, /^HTTP\/1\.1 403 [^]*application\/problem\+json[^]*no Host header/)
      const expecting = yield* sendBytes(server, "GET /health HTTP/1.1\r\nhost: localhost\r\nexpect: a-miracle\r\n\r\n")
      assert.match(expecting, /^HTTP\/1\.1 417 [^]*application\/problem\+json/)
      const upgrade = yield* sendBytes(
        server,
        "GET /health HTTP/1.1\r\nhost: evil.example\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
      )
      assert.match(upgrade, /^HTTP\/1\.1 403 /)
      const absolute = yield* sendBytes(
        server,
        "GET http://evil.example/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
      )
      assert.match(absolute, /^HTTP\/1\.1 403 /)
    })
  )

  it.effect("of whatever kind is never the server's fault", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const routes = Object.entries(OpenApi.fromApi(ExecutorApi).paths)
        .filter(([path]) => path !== "/events" && path !== "/docs")
        .flatMap(([path, item]) => Object.keys(item).map((method) => ({ path, method: method.toUpperCase() })))
      const parameters = [
        "limit",
        "cursor",
        "status",
        "from",
        "sort",
        "meta",
        "query",
        "namespace",
        "__proto__",
        "code"
      ]
      const text = fc.oneof(
        fc.string({ unit: "binary" }),
        fc.constantFrom("", "0", "-1", "null", "__proto__", "%00", "createdAt:asc")
      )
      const request = fc.record({
        route: fc.constantFrom(...routes),
        segment: text,
        query: fc.array(fc.tuple(fc.oneof(fc.constantFrom(...parameters), fc.string()), text), { maxLength: 3 }),
        body: fc.oneof(
          fc.json(),
          fc.string(),
          fc.record({ code: fc.jsonValue() }, { noNullPrototype: true }).map((value) => JSON.stringify(value)),
          fc
            .record(
              { namespace: fc.string(), pluginId: fc.constantFrom("lists", "x"), config: fc.jsonValue() },
              { noNullPrototype: true }
            )
            .map((value) => JSON.stringify(value)),
          fc
            .record({ action: fc.constantFrom("accept", "x"), content: fc.jsonValue() })
            .map((value) => JSON.stringify(value))
        ),
        type: fc.constantFrom("application/json", "application/json", "text/plain"),
        trigger: fc.option(fc.stringMatching(/^[ -~]{0,10}$/), { nil: undefined })
      })
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(request, async ({ body, query, route, segment, trigger, type }) => {
            const path = route.path.replace(/\{\w+\}/, encodeURIComponent(segment.toWellFormed()))
            const search = new URLSearchParams(
              query.map(([name, value]): [string, string] => [name.toWellFormed(), value.toWellFormed()])
            )
            const hasBody = route.method === "POST"
            const answer = await Effect.runPromise(
              server.send(`${path}?${search}`, {
                method: route.method,
                headers: {
                  authorization: `Bearer ${token}`,
                  ...(hasBody ? { "content-type": type } : {}),
                  "x-executor-trigger": trigger
                },
                ...(hasBody ? { raw: body } : {})
              })
            )
            assert.isBelow(answer.status, 500, `${answer.status} ${answer.text}`)
            if (answer.status >= 400) {
              assert.strictEqual(answer.headers["content-type"], "application/problem+json")
              assert.strictEqual(answer.json.status, answer.status)
            }
          }),
          { numRuns: 400 }
        )
      )
    })
  )
})
