/**
 * Removing old history: what a bound says is too much, counted and removed in batches that hold up nothing else.
 *
 * Only executions that have ended are removed, with their tool calls and questions. Without a bound everything is kept.
 */
import { type Executor, ExecutionStatus, isTerminal, type SweepOptions, type Where } from "@executor/sdk"
import { Cause, Clock, Effect, Schedule } from "effect"
import { CommandFailed } from "./Failure.ts"
import type { LocalParts } from "./LocalBackend.ts"
import { formatDuration } from "./Units.ts"

/** How much history is kept; each bound holds by itself. */
export interface Retention {
  /** For so long after an execution has ended, in milliseconds. */
  readonly keepForMs?: number | undefined
  /** So many executions, those that ended last. */
  readonly keepCount?: number | undefined
}

/** How often a server looks for what is too much: often enough that no look finds much. */
export const sweepInterval = "10 minutes"

const period = (ms: number): string => {
  const days = ms / 86_400_000
  return Number.isInteger(days) ? `${days} day${days === 1 ? "" : "s"}` : formatDuration(ms)
}

/** The retention in words. */
export const describeRetention = ({ keepCount, keepForMs }: Retention): string => {
  const parts = [
    ...(keepForMs === undefined ? [] : [`what ended in the last ${period(keepForMs)}`]),
    ...(keepCount === undefined ? [] : [`the ${keepCount} executions that ended last`])
  ]
  return parts.length === 0 ? "everything" : parts.join(", and of that ")
}

/** What each bound has the store remove, from now on. */
const sweepsOf = ({ keepCount, keepForMs }: Retention): Effect.Effect<ReadonlyArray<SweepOptions>> =>
  Effect.map(Clock.currentTimeMillis, (now) => [
    ...(keepForMs === undefined ? [] : [{ completedBefore: now - keepForMs }]),
    ...(keepCount === undefined ? [] : [{ keepNewest: keepCount }])
  ])

const terminalStatuses = ExecutionStatus.literals.filter(isTerminal)

/** How many executions are beyond the retention now. */
export const countBeyond = Effect.fnUntraced(function* ({ adapter, executor }: LocalParts, retention: Retention) {
  let most = 0
  for (const { completedBefore, keepNewest = 0 } of yield* sweepsOf(retention)) {
    const old: ReadonlyArray<Where> =
      completedBefore === undefined ? [] : [{ op: "lt", column: "completed_at", value: completedBefore }]
    const count = yield* adapter.count({
      table: "execution",
      where: {
        op: "and",
        conditions: [
          { op: "eq", column: "scope_id", value: executor.scopes[0] },
          { op: "in", column: "status", values: terminalStatuses },
          ...old
        ]
      }
    })
    most = Math.max(most, count - keepNewest)
  }
  return most
})

/** Removes what is beyond the retention, batch by batch; `onRemoved` hears how many are gone so far. */
export const removeBeyond = Effect.fnUntraced(
  function* (
    { executions, scopes }: Executor,
    retention: Retention,
    onRemoved: (count: number) => Effect.Effect<void> = () => Effect.void
  ) {
    let total = 0
    for (const options of yield* sweepsOf(retention)) {
      for (;;) {
        const { removed } = yield* executions.sweep(scopes[0], options)
        if (removed === 0) break
        total += removed
        yield* onRemoved(total)
        // Whoever else waits for the database gets a turn.
        yield* Effect.yieldNow
      }
    }
    return total
  },
  Effect.mapError(({ message }) => new CommandFailed({ message }))
)

/** Keeps the history within the retention for as long as it runs. What goes wrong is logged, and tried again. */
export const keepWithin = (executor: Executor, retention: Retention): Effect.Effect<void> =>
  retention.keepCount === undefined && retention.keepForMs === undefined
    ? Effect.void
    : removeBeyond(executor, retention).pipe(
        Effect.flatMap((count) =>
          count === 0
            ? Effect.void
            : Effect.logInfo(`Removed ${count} executions: kept is ${describeRetention(retention)}.`)
        ),
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause)
            ? Effect.failCause(cause as Cause.Cause<never>)
            : Effect.logWarning("Old history could not be removed. It is tried again.", cause)
        ),
        Effect.repeat(Schedule.spaced(sweepInterval)),
        Effect.asVoid
      )
