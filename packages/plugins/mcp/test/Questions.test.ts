import { assert, describe, it } from "@effect/vitest"
import { type ElicitationHandler, type ElicitationRequest, type Executor, ToolFailed } from "@executor/sdk"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { add, call, fixture, makeExecutor } from "./Support.ts"

const eras = [
  ["2026-07-28", []],
  ["older", ["--old"]]
] as const

const whoOf = (request: ElicitationRequest) => (request.args as { who: string }).who

/** Answers with what the question is about, so that an answer at the wrong call shows. */
const answering: ElicitationHandler = (request) => {
  assert.strictEqual(request.message, `Who is ${whoOf(request)}?`)
  return Effect.succeed({ action: "accept", content: { answer: `I am ${whoOf(request)}` } })
}

const ask = (executor: Executor, who: string, handler = answering) => call(executor, "asking.ask", { who }, handler)

for (const [era, args] of eras) {
  describe(`questions, protocol ${era}`, () => {
    const started = Effect.gen(function* () {
      const executor = yield* makeExecutor()
      yield* add(executor, "asking", fixture("asking-server", ...args))
      return executor
    })

    it.live("of concurrent calls each reach their own call, and each answer comes back to it", () =>
      Effect.gen(function* () {
        const executor = yield* started
        const names = Array.from({ length: 8 }, (_, index) => `person ${index}`)
        const results = yield* Effect.forEach(names, (who) => ask(executor, who), { concurrency: "unbounded" })
        assert.deepStrictEqual(
          results,
          names.map((who) => `${who}: I am ${who}`)
        )
      })
    )

    it.live("declining and cancelling are told to the server", () =>
      Effect.gen(function* () {
        const executor = yield* started
        for (const action of ["decline", "cancel"] as const) {
          assert.strictEqual(yield* ask(executor, "x", () => Effect.succeed({ action })), `x: ${action}`)
        }
      })
    )

    it.live("that wait for a person do not hold up calm tools", () =>
      Effect.gen(function* () {
        const executor = yield* started
        yield* call(executor, "asking.calm", { n: 0 })
        const asked = yield* Deferred.make<void>()
        const answered = yield* Deferred.make<void>()
        const slow = yield* Effect.forkChild(
          ask(executor, "thinker", (request) =>
            Effect.andThen(
              Deferred.succeed(asked, undefined),
              Effect.andThen(Deferred.await(answered), answering(request))
            )
          )
        )
        yield* Deferred.await(asked)
        assert.strictEqual(yield* call(executor, "asking.calm", { n: 1 }), "1")
        yield* Deferred.succeed(answered, undefined)
        assert.strictEqual(yield* Fiber.join(slow), "thinker: I am thinker")
      })
    )

    it.live("that wait for a person do not hold up first calls, nor calls of tools that ask", () =>
      Effect.gen(function* () {
        const executor = yield* started
        const asked = yield* Deferred.make<void>()
        const open = yield* Effect.forkChild(
          ask(executor, "thinker", () => Effect.andThen(Deferred.succeed(asked, undefined), Effect.never))
        )
        yield* Deferred.await(asked)
        const others = [call(executor, "asking.calm", { n: 1 }), ask(executor, "second"), ask(executor, "third")]
        assert.deepStrictEqual(yield* Effect.all(others, { concurrency: "unbounded" }), [
          "1",
          "second: I am second",
          "third: I am third"
        ])
        yield* Fiber.interrupt(open)
      })
    )

    it.effect("a person's thinking time is no part of the call's time", () =>
      Effect.gen(function* () {
        const executor = yield* makeExecutor()
        yield* add(executor, "asking", { ...fixture("asking-server", ...args), callTimeoutMillis: 300 })
        const context = yield* Effect.context()
        const result = yield* ask(executor, "slow", (request) =>
          Effect.provideContext(Effect.andThen(TestClock.adjust("1 minute"), answering(request)), context)
        )
        assert.strictEqual(result, "slow: I am slow")
      })
    )

    it.live("a page to visit is shown, if it is a web page", () =>
      Effect.gen(function* () {
        const executor = yield* started
        const seen: Array<ElicitationRequest> = []
        const visit = (url: string) =>
          call(executor, "asking.visit", { url }, (request) => {
            seen.push(request)
            return Effect.succeed({ action: "accept" })
          })
        assert.strictEqual(yield* visit("https://example.com/login"), "accept")
        assert.strictEqual(yield* visit("javascript:alert(1)"), "cancel")
        assert.deepStrictEqual(
          seen.map((request) => [request.kind, request.url]),
          [["url", "https://example.com/login"]]
        )
      })
    )

    it.live("an interrupted question never reaches a later call", () =>
      Effect.gen(function* () {
        const executor = yield* started
        const asked = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          ask(executor, "gone", () => Effect.andThen(Deferred.succeed(asked, undefined), Effect.never))
        )
        yield* Deferred.await(asked)
        yield* Fiber.interrupt(fiber)
        const results = yield* Effect.forEach(["a", "b"], (who) => ask(executor, who))
        for (const [index, who] of ["a", "b"].entries()) {
          assert.include([`${who}: I am ${who}`, `${who}: cancel`], results[index])
        }
        assert.strictEqual(yield* ask(executor, "last"), "last: I am last")
      })
    )
  })
}

it.live("where no further process is allowed, a call that cannot have its turn says so soon, and was not sent", () =>
  Effect.gen(function* () {
    const executor = yield* makeExecutor()
    yield* add(executor, "asking", { ...fixture("asking-server", "--old"), maxProcesses: 1, callTimeoutMillis: 1000 })
    const asked = yield* Deferred.make<void>()
    const answered = yield* Deferred.make<void>()
    const open = yield* Effect.forkChild(
      ask(executor, "thinker", (request) =>
        Effect.andThen(Deferred.succeed(asked, undefined), Effect.andThen(Deferred.await(answered), answering(request)))
      )
    )
    yield* Deferred.await(asked)
    const error = yield* Effect.flip(call(executor, "asking.calm", { n: 1 }))
    assert(error instanceof ToolFailed)
    assert.include(error.message, "was not sent, since it did not get its turn within 1000 ms")
    assert.include(error.message, "maxProcesses")
    yield* Deferred.succeed(answered, undefined)
    assert.strictEqual(yield* Fiber.join(open), "thinker: I am thinker")
  })
)
