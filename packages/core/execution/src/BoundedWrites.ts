/**
 * Runs history writes so that none can hold up the work it describes for longer than it is given.
 *
 * A write runs in a fiber of its own, which its caller waits for. Three ends are possible, and each is a value: it was
 * written, it failed (an error or a defect alike), or its time ran out, in which case it is interrupted and nobody waits
 * for that either. A caller that is interrupted stops waiting at once; the write itself goes on, so that what was
 * begun is not cut in half, and is accounted for when it ends.
 *
 * A write that ends without ever suspending, as on SQLite, costs no timer. All others share one watch: a single fiber
 * that looks every {@link watchIntervalMs} for those whose time ran out, and sleeps while there are none.
 */
import { type Cause, Clock, Context, Effect, type Exit, type Fiber, type Scope } from "effect"

/** How a write ended. */
export type WriteResult =
  | { readonly _tag: "Written" }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "TimedOut"; readonly waitedMs: number }

/** How often the watch looks: a write may be waited for by this much longer than it was given. */
export const watchIntervalMs = 100

/** Runs writes under one watch. */
export interface BoundedWrites {
  /**
   * Runs a write and succeeds when it has ended, or after `waitMs` (plus at most {@link watchIntervalMs}). `onEnd` is told how
   * it ended, exactly once, whether or not the caller still waits.
   */
  readonly run: (
    write: Effect.Effect<unknown, unknown>,
    waitMs: number,
    onEnd: (result: WriteResult) => void
  ) => Effect.Effect<void>
}

interface Outstanding {
  readonly startedAt: number
  readonly waitMs: number
  readonly expire: (waitedMs: number) => void
}

/** Makes a runner of writes. When the scope closes the watch ends, and with it the bound. */
export const make = Effect.gen(function* () {
  const context = yield* Effect.context<Scope.Scope>()
  const runFork = Effect.runForkWith(context)
  const clock = Context.get(context, Clock.Clock)
  const outstanding = new Set<Outstanding>()
  let watching: Fiber.Fiber<void> | undefined

  const watch = Effect.gen(function* () {
    while (outstanding.size > 0) {
      yield* Effect.sleep(watchIntervalMs)
      const now = clock.currentTimeMillisUnsafe()
      for (const write of outstanding) {
        const waitedMs = now - write.startedAt
        if (waitedMs >= write.waitMs) write.expire(waitedMs)
      }
    }
    watching = undefined
  })

  const add = (write: Outstanding) => {
    outstanding.add(write)
    watching ??= runFork(watch)
  }

  yield* Effect.addFinalizer(() => Effect.sync(() => watching?.interruptUnsafe()))

  const writes: BoundedWrites = {
    run: (write, waitMs, onEnd) =>
      Effect.suspend(() => {
        const fiber = runFork(write)
        const exit = fiber.pollUnsafe()
        if (exit !== undefined) {
          onEnd(resultOf(exit))
          return Effect.void
        }
        return Effect.callback<void>((resume) => {
          let ended = false
          const end = (result: WriteResult) => {
            if (ended) return
            ended = true
            outstanding.delete(entry)
            onEnd(result)
            resume(Effect.void)
          }
          const entry: Outstanding = {
            startedAt: clock.currentTimeMillisUnsafe(),
            waitMs,
            expire: (waitedMs) => {
              end({ _tag: "TimedOut", waitedMs })
              fiber.interruptUnsafe()
            }
          }
          add(entry)
          fiber.addObserver((exit) => end(resultOf(exit)))
        })
      })
  }
  return writes
})

const resultOf = (exit: Exit.Exit<unknown, unknown>): WriteResult =>
  exit._tag === "Success" ? written : { _tag: "Failed", cause: exit.cause }

const written: WriteResult = { _tag: "Written" }
