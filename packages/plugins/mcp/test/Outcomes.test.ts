import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { type Executor, type InvokeError, OutcomeUnknown, SourceUnavailable, ToolFailed } from "@executor/sdk"
import { Effect, Exit, Fiber, Scope } from "effect"
import { add, call, fixture, makeExecutor, temporaryFolder } from "./Support.ts"

/** Points at which a call that was sent is under way. */
const points = ["received", "working", "late", "half"] as const

/** An executor in a scope of its own with a server that counts, whose tools have each been called before, so that they run at once. */
const start = Effect.fnUntraced(function* (config: object = {}) {
  const file = `${yield* temporaryFolder}/effects`
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const executor = yield* Scope.provide(makeExecutor(), scope)
  yield* add(executor, "counter", { ...fixture("effects-server", file), ...config })
  yield* write(executor, "first")
  yield* call(executor, "counter.end", { how: "not yet" })
  const lines = Effect.sync(() => readFileSync(file, "utf8").split("\n"))
  return {
    executor,
    close: Scope.close(scope, Exit.void),
    effects: (name: string) => Effect.map(lines, (all) => all.filter((line) => line === `${name} effect`).length),
    seen: (names: ReadonlyArray<string>) =>
      Effect.repeat(Effect.delay(lines, 10), {
        until: (all) => names.every((name) => all.some((line) => line.startsWith(`${name} `)))
      })
  }
})

const write = (executor: Executor, name: string, at?: string, ballast?: string) =>
  call(executor, "counter.write", {
    call: name,
    ...(at === undefined ? {} : { at }),
    ...(ballast === undefined ? {} : { ballast })
  })

const failureOf = (exit: Exit.Exit<unknown, InvokeError>) => {
  assert(Exit.isFailure(exit))
  const [reason] = exit.cause.reasons
  return reason?._tag === "Fail" ? reason.error : reason
}

const assertUnknown = (error: unknown, words: string) => {
  assert(error instanceof OutcomeUnknown)
  assert.match(error.message, /^the call was sent at \d{4}-\S+Z, and /)
  assert.include(error.message, words)
  assert.strictEqual(error.path, "counter.write")
}

const ends = {
  exit: "exited with code 7 before it answered",
  SIGKILL: "was ended by SIGKILL before it answered",
  "closed output": "closed its standard output",
  "closed executor": "was closed by its host before it answered",
  timeout: "its server did not answer within 1000 ms (the setting callTimeoutMillis",
  hang: "does not answer any more",
  interruption: undefined
} as const

describe("the outcome of a call that was sent", () => {
  for (const [end, words] of Object.entries(ends)) {
    it.live(`${end}: is unknown at every point, and the next call works`, () =>
      Effect.gen(function* () {
        const { close, effects, executor, seen } = yield* start(
          end === "timeout" || end === "hang" ? { callTimeoutMillis: 1000 } : {}
        )
        // Half an answer is completed by no later one, so nothing is left to do with the server but to end it.
        const at = end === "timeout" || end === "interruption" ? points.filter((point) => point !== "half") : points
        const fibers = yield* Effect.forEach(at, (point) => Effect.forkChild(write(executor, point, point)))
        yield* seen(at)
        if (end === "closed executor") yield* close
        else if (end === "interruption") yield* Fiber.interruptAll(fibers)
        else if (end !== "timeout") yield* Effect.forkChild(call(executor, "counter.end", { how: end }))
        for (const fiber of fibers) {
          const exit = yield* Fiber.await(fiber)
          if (words === undefined) assert.isTrue(Exit.hasInterrupts(exit))
          else assertUnknown(failureOf(exit), words)
        }
        for (const point of at) assert.strictEqual(yield* effects(point), point === "received" ? 0 : 1)
        if (end !== "closed executor") assert.strictEqual(yield* write(executor, "next"), "next")
      })
    )
  }

  it.live("is unknown where the answer cannot be read, and known where the server says it", () =>
    Effect.gen(function* () {
      const { effects, executor } = yield* start()
      assertUnknown(yield* Effect.flip(write(executor, "garbled", "malformed")), "cannot be read")
      assert.strictEqual(yield* effects("garbled"), 1)
      const refused = yield* Effect.flip(write(executor, "refused", "refused"))
      assert(refused instanceof ToolFailed)
      assert.deepInclude(refused, { message: "no such row", code: -32602, data: { row: 1 } })
    })
  )
})

describe("a call that was not sent", () => {
  const ballast = "x".repeat(4_000_000)

  it.live("has had no effect: its server ended before it had read the whole request", () =>
    Effect.gen(function* () {
      const { effects, executor, seen } = yield* start()
      const pid = Number(yield* call(executor, "counter.block"))
      const fiber = yield* Effect.forkChild(write(executor, "half", undefined, ballast))
      yield* seen(["part"])
      yield* Effect.sync(() => process.kill(pid, "SIGKILL"))
      const error = failureOf(yield* Fiber.await(fiber))
      assert(error instanceof SourceUnavailable)
      assert.include(error.message, "was ended by SIGKILL, before the call was sent")
      assert.strictEqual(yield* effects("half"), 0)
      assert.strictEqual(yield* write(executor, "next"), "next")
    })
  )

  it.live("has had no effect: its server read nothing in time, and only what is written in part is unknown", () =>
    Effect.gen(function* () {
      const { effects, executor, seen } = yield* start({ callTimeoutMillis: 2000 })
      yield* call(executor, "counter.block")
      const half = yield* Effect.forkChild(write(executor, "half", undefined, ballast))
      yield* seen(["part"])
      const queued = yield* Effect.forkChild(write(executor, "queued"))
      assertUnknown(failureOf(yield* Fiber.await(half)), "within 2000 ms")
      const error = failureOf(yield* Fiber.await(queued))
      assert(error instanceof ToolFailed || error instanceof SourceUnavailable)
      assert.match(error.message, /could not be sent|before the call was sent/)
      for (const name of ["half", "queued"]) assert.strictEqual(yield* effects(name), 0)
      assert.strictEqual(yield* write(executor, "next"), "next")
    })
  )
})
