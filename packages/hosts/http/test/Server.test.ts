import { assert, describe, it, layer } from "@effect/vitest"
import type { ExecutionEngine } from "@executor/execution"
import { HttpHost } from "@executor/host-http"
import { createExecutor, DBError, MemoryAdapter } from "@executor/sdk"
import { Effect, Exit, Fiber, Logger, Redacted, Scope, Stream } from "effect"
import { get } from "node:http"
import { connect } from "node:net"
import { send, startServer, TestServer, token } from "./support.ts"

/** The text of a live stream up to and with `until`. */
const readUntil = (url: string, path: string, until: string) =>
  Effect.callback<string>((resume) => {
    let text = ""
    const request = get(
      `${url}${path}`,
      { headers: { authorization: `Bearer ${token}` }, agent: false },
      (response) => {
        response.on("data", (chunk: Buffer) => {
          text += chunk.toString("utf8")
          if (text.includes(until)) resume(Effect.succeed(text))
        })
        response.on("end", () => resume(Effect.succeed(text)))
      }
    )
    return Effect.sync(() => request.destroy())
  })

layer(TestServer.layer, { excludeTestServices: true })("a server", (it) => {
  it.effect("is healthy", () =>
    Effect.gen(function* () {
      const { send } = yield* TestServer
      const answer = yield* send("/health")
      assert.strictEqual(answer.status, 200)
      assert.deepEqual(answer.json, {
        status: "ok",
        keepsHistory: true,
        droppedWrites: 0,
        executions: { underWay: 0, queued: 0 }
      })
      const head = yield* send("/health", { method: "HEAD" })
      assert.deepEqual([head.status, head.text], [200, ""])
    })
  )

  it.effect("documents itself, with nothing from elsewhere", () =>
    Effect.gen(function* () {
      const { send } = yield* TestServer
      const document = (yield* send("/openapi.json")).json
      assert.strictEqual(document.openapi, "3.1.0")
      assert.property(document.paths, "/executions/{id}/resume")
      const first = yield* send("/docs")
      const page = yield* send("/docs")
      assert.strictEqual(page.text, first.text)
      assert.include(page.headers["content-type"], "text/html")
      assert.notMatch(page.text, /<(script|link|img)[^>]+(src|href)=/)
      assert.include(page.headers["content-security-policy"], "default-src 'none'")
      assert.include(page.text, "/executions/{id}/resume")
    })
  )

  it.effect("sends events of one execution, or of all", () =>
    Effect.gen(function* () {
      const server = yield* TestServer
      const paused = (yield* server.run("await tools.shop.orders.pay({ order: 1 })")).json
      const one = yield* Effect.forkChild(
        readUntil(server.url, `/events?executionId=${paused.executionId}`, "ExecutionFinished")
      )
      const all = yield* Effect.forkChild(
        readUntil(server.url, "/events", `ExecutionFinished","executionId":"${paused.executionId}`)
      )
      yield* readUntil(server.url, "/events", ": alive")
      const other = (yield* server.run("return 1")).json
      yield* server.send(`/executions/${paused.executionId}/resume`, { method: "POST", body: { action: "accept" } })
      const events = (text: string) =>
        text
          .split("\n\n")
          .filter((message) => message.startsWith("event: message\ndata: "))
          .map((message) => JSON.parse(message.slice("event: message\ndata: ".length)))
      const mine = events(yield* Fiber.join(one))
      assert.deepEqual(
        mine.map(({ _tag }) => _tag),
        ["InteractionResolved", "ExecutionContinued", "ToolCallFinished", "ExecutionFinished"]
      )
      assert.include(yield* Fiber.join(all), other.executionId)
      const wrong = yield* server.send("/events?execution=x")
      assert.strictEqual(wrong.status, 400)
    })
  )
})

describe("a bug or a broken database", () => {
  const never: ExecutionEngine = {
    execute: () => Effect.never,
    executeWithPause: (code) => Effect.die(new Error(`secret of ${code}`)),
    resume: () => Effect.never,
    cancel: () => Effect.never,
    recover: Effect.never,
    fork: () => Effect.never,
    previewFork: () => Effect.never,
    replay: () => Effect.never,
    getDescription: Effect.succeed(""),
    events: Stream.never,
    droppedWrites: Effect.succeed(0),
    load: Effect.succeed({ underWay: 0, queued: 0 })
  }

  it.live("reaches the log with its cause, and the outside as an id", () => {
    const logged: Array<string> = []
    const logger = Logger.make((options) => {
      logged.push(Logger.formatSimple.log(options))
    })
    return Effect.gen(function* () {
      const adapter = MemoryAdapter.make()
      const failing = {
        ...adapter,
        find: () => Effect.fail(new DBError({ message: "/secret/path is locked", reason: "unavailable" }))
      }
      const executor = yield* createExecutor({ scopes: ["test"], adapter: failing })
      const { url } = yield* HttpHost.serve({ engine: never, executor, token: Redacted.make(token), port: 0 })
      const bug = yield* send(url, "/executions", { method: "POST", body: { code: "x" } })
      const database = yield* send(url, "/executions")
      for (const [answer, status, type, cause] of [
        [bug, 500, "internal-error", "secret of x"],
        [database, 503, "storage-unavailable", "/secret/path"]
      ] as const) {
        assert.strictEqual(answer.status, status)
        assert.strictEqual(answer.json.type, `urn:executor:problem:${type}`)
        assert.notInclude(answer.text, "secret")
        const lines = logged.filter((line) => line.includes(answer.json.correlationId))
        assert.strictEqual(lines.length, 1)
        assert.include(lines[0], cause)
      }
      assert.strictEqual(logged.length, 2)
    }).pipe(Effect.provide(Logger.layer([logger])))
  })
})

describe("closing a server", () => {
  it.live("ends streams, lets a request finish, and cuts off what takes too long", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(startServer({ closeGraceMs: 500 }), scope)
      const stream = yield* Effect.forkChild(readUntil(server.url, "/events", "nothing that comes"))
      const started = yield* server.engine.events.pipe(
        Stream.filter((event) => event._tag === "ToolCallStarted"),
        Stream.take(2),
        Stream.runDrain,
        Effect.forkScoped({ startImmediately: true })
      )
      const finishing = yield* Effect.forkChild(server.run("await tools.shop.hold(); return 1"))
      const endless = yield* Effect.forkChild(server.run("await tools.shop.wait()"))
      yield* Fiber.join(started)
      // A peer that opened a connection and says nothing must not hold up the close.
      const silent = connect(Number(new URL(server.url).port), "127.0.0.1")
      silent.on("error", () => {})
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      assert.include(yield* Fiber.join(stream), ": alive")
      yield* server.release
      assert.strictEqual((yield* Fiber.join(finishing)).json.resultJson, "1")
      const cut = yield* Fiber.join(endless)
      assert.strictEqual(cut.status, 503)
      assert.strictEqual(cut.json.type, "urn:executor:problem:server-closing")
      yield* Fiber.join(closing)
      silent.destroy()
    })
  )
})
