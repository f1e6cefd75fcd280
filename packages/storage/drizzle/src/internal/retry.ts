/**
 * Waiting for a lock that another process holds, without holding up this one.
 *
 * SQLite itself can only wait by blocking the thread. So it is given a few milliseconds (which saves a turn of the
 * event loop where locks are short), and after that the statement is tried again later, with the event loop free
 * between. Timers are real ones: the other process does not know of a test's clock.
 */
import type { DBError } from "@executor/sdk"
import { Effect } from "effect"
import { isBusy, toDBError } from "./errors.ts"

/** How long SQLite may block for a lock. */
export const blockingWaitMillis = 2

/** How long a statement is tried again before it fails as `unavailable`, where nothing else is said. */
export const defaultLockWaitMillis = 5_000

/** Between attempts; random, so that processes that wait for the same lock do not meet again and again. */
export const retryDelayMillis = (): number => 1 + Math.random() * 10

/** Runs a synchronous use of the database, again and again while others hold its lock. */
export const retryBusy = <A>(waitMillis: number, evaluate: () => A): Effect.Effect<A, DBError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (error) {
      return isBusy(error) ? retryLater(waitMillis, evaluate) : Effect.fail(toDBError(error))
    }
  })

const retryLater = <A>(waitMillis: number, evaluate: () => A): Effect.Effect<A, DBError> =>
  Effect.callback<A, DBError>((resume) => {
    const deadline = performance.now() + waitMillis
    let timer: ReturnType<typeof setTimeout>
    const attempt = () => {
      try {
        resume(Effect.succeed(evaluate()))
      } catch (error) {
        if (isBusy(error) && performance.now() < deadline) wait()
        else resume(Effect.suspend(() => Effect.fail(toDBError(error))))
      }
    }
    const wait = () => {
      timer = setTimeout(attempt, retryDelayMillis())
    }
    wait()
    return Effect.sync(() => clearTimeout(timer))
  })
