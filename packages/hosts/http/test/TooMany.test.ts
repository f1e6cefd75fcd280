/**
 * A server on which more comes than it can take.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { type Answer, type RunningServer, startServer } from "./support.ts"

const pay = "return await tools.shop.orders.pay({ order: 7 })"

const load = (server: RunningServer) => Effect.map(server.send("/health"), ({ json }) => json.executions)

const untilLoad = (server: RunningServer, underWay: number, queued: number) =>
  Effect.repeat(load(server), {
    until: (executions) => executions.underWay === underWay && executions.queued === queued
  })

const assertRefused = ({ headers, json, status }: Answer) => {
  assert.strictEqual(status, 429)
  assert.strictEqual(headers["content-type"], "application/problem+json")
  assert.strictEqual(headers.connection, "close")
  assert.match(headers["retry-after"] ?? "", /^[1-9]\d*$/)
  assert.include(json, {
    type: "urn:executor:problem:too-many-executions",
    status: 429,
    limit: "queuedExecutions",
    value: 1
  })
  assert.strictEqual(Number(headers["retry-after"]), Math.ceil(json.retryAfterMs / 1000))
  assert.match(json.detail, /concurrentExecutions.*queuedExecutions.*try again in \d+ s/)
}

describe("a server whose line is full", () => {
  it.live("refuses what comes, tells how much goes on, and serves it later", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ admission: { concurrentExecutions: 1, queuedExecutions: 1 } })
      const { executionId: ended } = (yield* server.run("return 1")).json
      const [first, second] = [(yield* server.run(pay)).json, (yield* server.run(pay)).json]
      const post = (path: string, body: object) => server.send(`/executions/${path}`, { method: "POST", body })
      const accept = (id: string) => post(`${id}/resume`, { action: "accept" })
      assert.deepStrictEqual(yield* load(server), { underWay: 0, queued: 0 })

      const holding = yield* Effect.forkChild(server.run("await tools.shop.hold(); return 'held'"))
      yield* untilLoad(server, 1, 0)
      const waiting = yield* Effect.forkChild(server.run("return 'waited'"))
      yield* untilLoad(server, 1, 1)
      const answering = yield* Effect.forkChild(accept(first.executionId))
      yield* untilLoad(server, 1, 2)

      assertRefused(yield* server.run("return 2"))
      assertRefused(yield* accept(second.executionId))
      assertRefused(yield* post(`${ended}/fork`, { code: "return 2" }))
      assertRefused(yield* post(`${ended}/fork`, { code: "return 2", dryRun: true }))
      assertRefused(yield* post(`${ended}/replay`, {}))
      const problem = yield* Effect.flip(
        server.client.executions.create({ payload: { code: "return 2" }, headers: {} })
      )
      assert(problem._tag === "TooManyExecutions")
      assert.include(problem, { status: 429, limit: "queuedExecutions", value: 1 })
      assert.isAtLeast(problem.retryAfterMs, 1_000)

      yield* server.release
      assert.strictEqual((yield* Fiber.join(holding)).json.resultJson, '"held"')
      assert.strictEqual((yield* Fiber.join(waiting)).json.resultJson, '"waited"')
      for (const answer of [yield* Fiber.join(answering), yield* accept(second.executionId)]) {
        assert.strictEqual(answer.json.resultJson, '{"paid":7}')
      }
      const { executions } = (yield* server.send("/executions")).json
      assert.strictEqual(executions.length, 5)
      assert.deepStrictEqual(yield* load(server), { underWay: 0, queued: 0 })
    })
  )

  it.live("runs nothing for a caller who goes away while it waits", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ admission: { concurrentExecutions: 1 } })
      const holding = yield* Effect.forkChild(server.run("await tools.shop.hold()"))
      yield* untilLoad(server, 1, 0)
      const waiting = yield* Effect.forkChild(server.run("return 1"))
      yield* untilLoad(server, 1, 1)
      yield* Fiber.interrupt(waiting)
      yield* untilLoad(server, 1, 0)
      yield* server.release
      yield* Fiber.join(holding)
      assert.strictEqual((yield* server.send("/executions")).json.executions.length, 1)
    })
  )
})
