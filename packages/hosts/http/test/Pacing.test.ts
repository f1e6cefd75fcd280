/**
 * That requests which come at once are begun a few at a time, in their order.
 */
import { assert, describe, it } from "@effect/vitest"
import type { DBAdapter } from "@executor/sdk"
import { Deferred, Effect, Exit, Scope } from "effect"
import { connect } from "node:net"
import { startServer, token } from "./support.ts"

type Adapter = DBAdapter["Service"]

const count = 500

/** A connection that sends requests without waiting for the answers. */
const open = (url: string) =>
  Effect.acquireRelease(
    Effect.callback<{
      readonly send: (requests: ReadonlyArray<string>) => void
      readonly answers: (count: number) => Effect.Effect<ReadonlyArray<string>>
      readonly close: () => void
    }>((resume) => {
      const socket = connect(Number(new URL(url).port), "127.0.0.1", () => {
        let text = ""
        socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
        const statusLines = () => text.match(/HTTP\/1\.1 \d+/g) ?? []
        const answers = (count: number) =>
          Effect.callback<ReadonlyArray<string>>((done) => {
            const look = () => {
              if (statusLines().length >= count || socket.closed) done(Effect.succeed(statusLines()))
            }
            socket.on("data", look).on("close", look)
            look()
          })
        resume(
          Effect.succeed({
            send: (requests) => socket.write(requests.join("")),
            answers,
            close: () => socket.destroy()
          })
        )
      })
      socket.on("error", () => {})
    }),
    ({ close }) => Effect.sync(close)
  )

const request = (path: string, more = "") =>
  `GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n${more}\r\n`

const inOrder = Array.from({ length: count }, (_, index) => `e${index}`)

const executionRequests = inOrder.map((id) => request(`/executions/${id}`))

/** A server that tells which executions are looked for, in which order. */
const watched = Effect.gen(function* () {
  const begun: Array<string> = []
  const first = yield* Deferred.make<void>()
  const through = (adapter: Adapter): Adapter => ({
    ...adapter,
    find: (options) => {
      const id = /"(e\d+|other)"/.exec(JSON.stringify(options.where))?.[1]
      if (id !== undefined) {
        begun.push(id)
        Deferred.doneUnsafe(first, Effect.void)
      }
      return adapter.find(options)
    }
  })
  const scope = yield* Scope.fork(yield* Effect.scope)
  const { url } = yield* Scope.provide(startServer({ through, closeGraceMs: 0 }), scope)
  return { begun, first: Deferred.await(first), url, close: Scope.close(scope, Exit.void) }
})

describe("requests that come at once", () => {
  it.live("are begun in their order, and health is told meanwhile", () =>
    Effect.gen(function* () {
      const server = yield* watched
      const many = yield* open(server.url)
      const one = yield* open(server.url)
      many.send(executionRequests)
      one.send([request("/health")])
      assert.deepStrictEqual(yield* one.answers(1), ["HTTP/1.1 200"])
      assert.isBelow(server.begun.length, count)
      assert.deepStrictEqual(
        yield* many.answers(count),
        executionRequests.map(() => "HTTP/1.1 404")
      )
      assert.deepStrictEqual(server.begun, inOrder)
    })
  )

  for (const [name, headers] of [
    ["waits for leave to send a body", "expect: 100-continue\r\n"],
    ["offers another protocol", "connection: upgrade\r\nupgrade: websocket\r\n"]
  ] as const) {
    it.live(`are begun before a later one that ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* watched
        const many = yield* open(server.url)
        const one = yield* open(server.url)
        many.send(executionRequests)
        one.send([request("/executions/other", headers)])
        assert.deepStrictEqual(yield* one.answers(1), ["HTTP/1.1 404"])
        assert.isAbove(server.begun.indexOf("other"), count / 2)
        yield* many.answers(count)
      })
    )
  }

  it.live("start nothing for a caller who is gone when their turn comes", () =>
    Effect.gen(function* () {
      const server = yield* watched
      const many = yield* open(server.url)
      const gone = yield* open(server.url)
      many.send(executionRequests)
      gone.send([request("/executions/other")])
      yield* server.first
      gone.close()
      yield* many.answers(count)
      assert.deepStrictEqual(server.begun, inOrder)
    })
  )

  it.live("are all answered where the server closes before their turn", () =>
    Effect.gen(function* () {
      const server = yield* watched
      const many = yield* open(server.url)
      many.send(executionRequests)
      yield* server.first
      yield* server.close
      const answers = yield* many.answers(count)
      assert.sameMembers([...new Set(answers)], ["HTTP/1.1 404", "HTTP/1.1 503"])
    })
  )
})
