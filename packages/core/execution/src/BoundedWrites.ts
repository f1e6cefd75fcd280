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
 *
 * Only a database that hangs takes from the time of a write. So the time counts from when the database last answered any write: a
 * queue that moves, however long, is no reason to give up. Nor is a process that stood still: of a look that comes late, no more
 * counts than of one that comes in time.
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
    onEnd: (result: WriteResult) => void,
    /** `strict` counts all of its time, whatever the database answers meanwhile: for what is not in the queue of writes alone. */
    options?: { readonly strict?: boolean }
  ) => Effect.Effect<void>
}

interface Outstanding {
  readonly startedAt: number
  readonly waitMs: number
  readonly strict: boolean
  /** The time that counts. */
  waitedMs: number
  readonly expire: (waitedMs: number) => void
}

/** What a late look counts at most. */
const maxCountedMs = 2 * watchIntervalMs

/**
 * Makes a runner of writes. `answered` is how many writes the store has answered, if it tells. When the scope closes the watch ends, and
 * with it the bound.
 */
export const make = Effect.fnUntraced(function* (answered: (() => number) | undefined) {
  const context = yield* Effect.context<Scope.Scope>()
  const runFork = Effect.runForkWith(context)
  const clock = Context.get(context, Clock.Clock)
  const outstanding = new Set<Outstanding>()
  let watching: Fiber.Fiber<void> | undefined

  const watch = Effect.gen(function* () {
    let lookedAt = clock.currentTimeMillisUnsafe()
    let answeredThen = answered?.()
    while (outstanding.size > 0) {
      yield* Effect.sleep(watchIntervalMs)
      const now = clock.currentTimeMillisUnsafe()
      const answeredNow = answered?.()
      const moves = answeredNow !== answeredThen
      for (const write of outstanding) {
        const passed = Math.min(now - Math.max(lookedAt, write.startedAt), maxCountedMs)
        write.waitedMs = moves && !write.strict ? 0 : write.waitedMs + passed
        if (write.waitedMs >= write.waitMs) write.expire(write.waitedMs)
      }
      lookedAt = now
      answeredThen = answeredNow
    }
    watching = undefined
  })

  const add = (write: Outstanding) => {
    outstanding.add(write)
    watching ??= runFork(watch)
  }

  yield* Effect.addFinalizer(() => Effect.sync(() => watching?.interruptUnsafe()))

  const writes: BoundedWrites = {
    run: (write, waitMs, onEnd, { strict = false } = {}) =>
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
            strict,
            waitedMs: 0,
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
