/**
 * Removing old history: what a bound says is too much, counted and removed in batches that hold up nothing else.
 *
 * Only executions that have ended are removed, with their tool calls and questions. Without a bound everything is kept.
 */
import { type Executor, ExecutionStatus, isTerminal, type SweepOptions, type Value, type Where } from "@executor/sdk"
import { Cause, Clock, Effect, Schedule } from "effect"
import { CommandFailed } from "./Failure.ts"
import type { LocalParts } from "./LocalBackend.ts"
import { formatDuration, formatSize } from "./Units.ts"

/** How much history is kept; each bound holds by itself. */
export interface Retention {
  /** For so long after an execution has ended, in milliseconds. */
  readonly keepForMs?: number | undefined
  /** So many executions, those that ended last. */
  readonly keepCount?: number | undefined
  /** What takes so many bytes together, those that ended last. */
  readonly keepSize?: number | undefined
}

/** How often a server looks for what is too much: often enough that no look finds much. */
export const sweepInterval = "10 minutes"

const period = (ms: number): string => {
  const days = ms / 86_400_000
  return Number.isInteger(days) ? `${days} day${days === 1 ? "" : "s"}` : formatDuration(ms)
}

/** The retention in words. */
export const describeRetention = ({ keepCount, keepForMs, keepSize }: Retention): string => {
  const parts = [
    ...(keepForMs === undefined ? [] : [`what ended in the last ${period(keepForMs)}`]),
    ...(keepCount === undefined ? [] : [`the ${keepCount} executions that ended last`]),
    ...(keepSize === undefined ? [] : [`about ${formatSize(keepSize)} of what ended last`])
  ]
  return parts.length === 0 ? "everything" : parts.join(", and of that ")
}

/** What each bound has the store remove, from now on. */
const sweepsOf = ({ keepCount, keepForMs, keepSize }: Retention): Effect.Effect<ReadonlyArray<SweepOptions>> =>
  Effect.map(Clock.currentTimeMillis, (now) => [
    ...(keepForMs === undefined ? [] : [{ completedBefore: now - keepForMs }]),
    ...(keepCount === undefined ? [] : [{ keepNewest: keepCount }]),
    ...(keepSize === undefined ? [] : [{ keepSize }])
  ])

const terminalStatuses = ExecutionStatus.literals.filter(isTerminal)

const hasEnded: Where = { op: "in", column: "status", values: terminalStatuses }

/** How many executions are looked at together. */
const pageRows = 1_000

/** How many of those that ended first it takes to free so many characters. */
const countForSize = Effect.fnUntraced(function* (adapter: LocalParts["adapter"], where: Where, excess: number) {
  let freed = 0
  let count = 0
  let after: ReadonlyArray<Value> | undefined
  while (freed < excess) {
    const rows = yield* adapter.find({
      table: "execution",
      where,
      select: ["id", "completed_at", "size"],
      orderBy: [
        { column: "completed_at", direction: "asc" },
        { column: "id", direction: "asc" }
      ],
      limit: pageRows,
      ...(after === undefined ? {} : { after })
    })
    for (const row of rows) {
      if (freed >= excess) return count
      freed += Number(row["size"])
      count += 1
      after = [row["completed_at"] ?? null, row["id"] ?? null]
    }
    if (rows.length < pageRows) return count
  }
  return count
})

/** How many executions are beyond the retention now. */
export const countBeyond = Effect.fnUntraced(function* ({ adapter, executor }: LocalParts, retention: Retention) {
  const ended: ReadonlyArray<Where> = [{ op: "eq", column: "scope_id", value: executor.scopes[0] }, hasEnded]
  let most = 0
  for (const { completedBefore, keepNewest = 0, keepSize } of yield* sweepsOf(retention)) {
    const old: ReadonlyArray<Where> =
      completedBefore === undefined ? [] : [{ op: "lt", column: "completed_at", value: completedBefore }]
    const where: Where = { op: "and", conditions: [...ended, ...old] }
    if (keepSize === undefined) {
      most = Math.max(most, (yield* adapter.count({ table: "execution", where })) - keepNewest)
    } else {
      const [all] = yield* adapter.countBy({ table: "execution", where, by: [], sum: ["size"] })
      most = Math.max(most, yield* countForSize(adapter, where, (all?.sums?.[0] ?? 0) - keepSize))
    }
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
  Object.values(retention).every((bound) => bound === undefined)
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
