/**
 * Applying what changes in the rollups, on Postgres.
 *
 * Triggers note each change of what is counted in the table `rollup_change`, in the transaction that makes it: executions that
 * end at the same time do not wait for each other. The function `executor_apply_some` applies what is noted, a step at a
 * time, and each step is a short transaction. One process applies at a time; for another, the step comes back at once with nothing
 * done. A crash leaves the changes of its step noted.
 *
 * A process that ends executions applies changes in the background, a while after the commit. So what a reader finds is
 * little. A reader takes steps as well, until all is applied that was committed before it asked. While another process has its
 * turn, it asks again after a while. Steps use a reading connection and give it back in between.
 */
import type { DBError, WriteOperation } from "@executor/sdk"
import { Cause, Effect, Latch, type Scope, Semaphore } from "effect"
import type { Connections } from "./postgresConnections.ts"
import { sleep } from "./realTime.ts"

/**
 * How long a step should take, in milliseconds; the next one applies fewer changes if it took longer, or more if it took half of that.
 * Of 200,000 changes, 8,000 of the same hours and sets of tools took 50 ms, and 2,000 that share no counter 70 ms. Fewer
 * would cost more in all: changes of the same counter are added up in a step.
 */
const stepMillis = 80
const smallestStep = 2_000
const firstStep = 4_000
const largestStep = 8_000

/**
 * A reader asks again after this time while another process is applying; each later wait is twice as long, up to the longest, which
 * is about a step.
 */
const firstWaitMillis = 10
const longestWaitMillis = 80

/** What is committed within this time is applied together. */
const gatherMillis = 500

/** Between attempts in the background; each later wait is twice as long, up to the longest. */
const firstRetryMillis = 1_000
const longestRetryMillis = 60_000

/** The counters of a database. */
export interface Counters {
  /** Applies all that was committed before. */
  readonly bringUpToDate: Effect.Effect<void, DBError>
  /** Has changes applied in the background before long; does not wait for it. */
  readonly applySoon: Effect.Effect<void>
}

interface Step {
  /** How many changes it has applied: none while another process is applying. */
  readonly applied: number
  /** What to begin the next step with, unless all is done. */
  readonly upTo: number | undefined
  readonly millis: number
}

const stepText = "SELECT applied, up_to FROM executor_apply_some($1::bigint, $2::bigint)"

/** Applies changes in the background until the scope ends. */
export const makeCounters = Effect.fnUntraced(function* (
  connections: Connections
): Effect.fn.Return<Counters, never, Scope.Scope> {
  let most = firstStep
  const step = (upTo: number | undefined): Effect.Effect<Step, DBError> =>
    connections.read(async (client) => {
      const asked = most
      const started = performance.now()
      const { rows } = await client.query(connections.statement(stepText, [asked, upTo ?? null]))
      const [{ applied, up_to: left }] = rows
      const millis = performance.now() - started
      if (millis > stepMillis) most = Math.max(smallestStep, asked / 2)
      else if (applied === asked && millis < stepMillis / 2) most = Math.min(largestStep, asked * 2)
      return { applied, upTo: left ?? undefined, millis }
    })

  // One of this process takes steps; others of it wait for that, not for the server.
  const turn = Semaphore.makeUnsafe(1)

  const applyUpTo = (upTo: number, waitMillis: number): Effect.Effect<void, DBError> =>
    Effect.flatMap(step(upTo), ({ applied, upTo: left }) => {
      if (left === undefined) return Effect.void
      return applied > 0
        ? applyUpTo(left, firstWaitMillis)
        : Effect.andThen(sleep(waitMillis), applyUpTo(left, Math.min(2 * waitMillis, longestWaitMillis)))
    })
  const bringUpToDate = Effect.flatMap(step(undefined), ({ upTo }) =>
    upTo === undefined ? Effect.void : turn.withPermit(applyUpTo(upTo, firstWaitMillis))
  )

  const wanted = Latch.makeUnsafe()
  /** Lets readers take their turn between any two steps, and the database rest for as long as a step took. */
  const applySlowly = (upTo: number | undefined): Effect.Effect<void, DBError> =>
    Effect.flatMap(turn.withPermit(step(upTo)), ({ applied, millis, upTo: left }) =>
      left === undefined ? Effect.void : Effect.andThen(rest(applied > 0 ? millis : gatherMillis), applySlowly(left))
    )
  const applyWanted = Effect.gen(function* () {
    yield* wanted.await
    yield* rest(gatherMillis)
    wanted.closeUnsafe()
    yield* applySlowly(undefined)
  })
  const applyInBackground = (retryMillis: number): Effect.Effect<never> =>
    Effect.matchCauseEffect(applyWanted, {
      onSuccess: () => applyInBackground(firstRetryMillis),
      onFailure: (cause) => {
        if (Cause.hasInterrupts(cause)) return Effect.interrupt
        wanted.openUnsafe()
        return Effect.logDebug("Changes of counters are still to be applied.", cause).pipe(
          Effect.andThen(rest(retryMillis)),
          Effect.andThen(applyInBackground(Math.min(2 * retryMillis, longestRetryMillis)))
        )
      }
    })
  yield* Effect.forkScoped(applyInBackground(firstRetryMillis))

  return {
    bringUpToDate,
    applySoon: Effect.sync(() => void wanted.openUnsafe())
  }
})

const endedStatuses: ReadonlySet<unknown> = new Set(["completed", "failed", "cancelled"])

/**
 * Whether an operation ends executions or deletes them. Other changes of what is counted are rare: they are applied with the next
 * ones, or when they are read.
 */
export const changesCounters = (operation: WriteOperation): boolean => {
  if (operation.table !== "execution") return false
  if (operation.op === "delete") return true
  const rows = operation.op === "insert" ? operation.rows : [operation.set]
  return rows.some((row) => endedStatuses.has(row["status"]))
}

/** Waits in real time, and keeps no process alive meanwhile. */
const rest = (millis: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis).unref()
    return Effect.sync(() => clearTimeout(timer))
  })
