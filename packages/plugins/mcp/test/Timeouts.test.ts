/**
 * The watch of the time that calls take.
 */
import { describe, expect, it } from "@effect/vitest"
import { type CallTimes, makeCallTimes } from "@executor/plugin-mcp"
import { Clock, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"

type AnyCall = Parameters<CallTimes["within"]>[1]["call"]

const millis = 20_000
const step = 1000

const options = {
  server: {} as never,
  path: "a.b",
  isAlive: Effect.succeed(true),
  hangs: Effect.void
}

const newCall = (started: boolean): AnyCall => ({
  tool: "b",
  ask: () => Promise.resolve({ action: "cancel" }),
  started,
  pending: 0,
  delivery: undefined
})

describe("the watch of calls", () => {
  it.effect("ends no call while a person thinks, whenever it has begun", () =>
    Effect.gen(function* () {
      const times = yield* makeCallTimes(millis)
      const begin = (call: AnyCall) =>
        Effect.forkChild(Effect.exit(times.within(Effect.never, { ...options, call })), { startImmediately: true })
      yield* begin(newCall(false))
      yield* TestClock.adjust(step - 10)
      const call = newCall(true)
      const running = yield* begin(call)
      yield* TestClock.adjust(millis - step + 100)
      call.pending++
      yield* TestClock.adjust(10 * millis)
      expect(running.pollUnsafe()).toBeUndefined()
      call.pending--
      yield* TestClock.adjust(2 * step)
      expect(Exit.isFailure(yield* Fiber.join(running))).toBe(true)
    }).pipe(Effect.scoped)
  )

  it.effect("ends with the last call, also where that took too long", () =>
    Effect.gen(function* () {
      let sleeps = 0
      const clock = yield* Clock.Clock
      const counting: Clock.Clock = {
        ...clock,
        sleep: (duration) => Effect.suspend(() => (sleeps++, clock.sleep(duration)))
      }
      yield* Effect.gen(function* () {
        const times = yield* makeCallTimes(millis)
        const running = yield* Effect.forkChild(
          Effect.exit(times.within(Effect.never, { ...options, call: newCall(true) })),
          { startImmediately: true }
        )
        yield* TestClock.adjust(millis + step)
        expect(Exit.isFailure(yield* Fiber.join(running))).toBe(true)
        const before = sleeps
        yield* TestClock.adjust(10 * millis)
        expect(sleeps - before).toBeLessThanOrEqual(1)
      }).pipe(Effect.scoped, Effect.provideService(Clock.Clock, counting))
    })
  )
})
