/**
 * What becomes of executions whose process is gone, and of those that nobody answers.
 *
 * An execution is **abandoned** when it should run and its lease has run out, or it was handed over. It goes on here, or is ended, as
 * the engine is made. One that nobody can go on with, as its journal is not complete, is ended as `failed`, with the reason. One whose
 * journal another build of the sandbox wrote is left for a process with that build. An engine never takes what it holds itself,
 * however late its leases are: it knows better what became of it. One that waits for a person is not abandoned: it waits on. But if
 * its holder is gone, which had kept it as a timer was running, it is taken, so that the timer runs on; where executions are ended,
 * it waits for its answer. An execution that ends its process again and again is kept back, and ended at last: see `Crashes`.
 *
 * When the store could not be reached, others could not prolong their leases either: nothing is taken until they had a lease's time to
 * do so.
 */
import type { DBError, ExecutionId, ExecutionNotFound, ExecutionStatus, ListAbandonedOptions } from "@executor/sdk"
import { Clock, Effect } from "effect"
import { suspectFrom } from "./Crashes.ts"
import { cancelled, type Elsewhere, type End } from "./Elsewhere.ts"
import { ExecutionNotCancellable, type RecoveryReport } from "./ExecutionEngine.ts"
import type { EngineParts, LiveExecution } from "./LiveExecution.ts"

/** Executions that are taken over at once: each starts a sandbox and reads a journal. */
const concurrency = 16

/** How long the next waits for one that goes on, so that many short ones do not all start at once, and long ones hold up none. */
const headStartMs = 1_000

/** Executions that are looked for at once. */
const batch = 200

/** How much longer than a lease a cancellation waits for the process that holds the execution. */
export const cancelGraceMs = 10_000

/** The end of one that is not continued. */
const lost: End = {
  status: "failed",
  name: "ProcessLost",
  message:
    "The process that ran it ended without its end being recorded, and executions are not continued here. Look at what it did before you run the code again."
}

/** How recovery goes about it. */
export interface RecoveryOptions {
  readonly recovery: "resume" | "end"
  readonly pauseExpiryMs: number | undefined
  readonly isHere: (id: ExecutionId) => boolean
  readonly here: () => Iterable<LiveExecution>
  readonly isClosed: () => boolean
  readonly toEndOrPause: (execution: LiveExecution) => Effect.Effect<unknown, unknown>
}

/** Makes `recover`. */
export const make = (
  parts: EngineParts,
  elsewhere: Elsewhere,
  options: RecoveryOptions
): Effect.Effect<RecoveryReport, DBError> => {
  const { codeExecutor, executor, leaseMs, owner } = parts
  const scopeId = executor.scopes[0]
  const store = executor.executions
  const goesOn = options.recovery === "resume"
  let quietUntil = 0

  const endAs = (id: ExecutionId, end: End) =>
    elsewhere.end(id, end).pipe(
      Effect.as("ended" as const),
      Effect.catchTag(["ExecutionNotFree", "ExecutionNotFound"], () => Effect.succeed("gone" as const))
    )

  const recoverOne = Effect.fnUntraced(function* (id: ExecutionId) {
    if (!goesOn) return yield* endAs(id, lost)
    const execution = yield* Effect.catchTag(elsewhere.goOn(id), "ExecutionNotResumable", () =>
      Effect.succeed("gone" as const)
    )
    if (typeof execution === "string") return execution
    yield* Effect.ignore(Effect.timeoutOption(options.toEndOrPause(execution), headStartMs))
    return "continued"
  })

  const findAbandoned = Effect.fnUntraced(function* (which: Omit<ListAbandonedOptions, "at">) {
    const at = yield* Clock.currentTimeMillis
    const found = yield* store.listAbandoned(scopeId, {
      at,
      waiting: goesOn,
      exceptOwner: owner,
      sandboxBuild: goesOn ? codeExecutor.build : undefined,
      ...which
    })
    return found.filter((id) => !options.isHere(id))
  })

  const recoverAll = Effect.gen(function* () {
    const seen = new Set<ExecutionId>()
    const results: Array<"continued" | "ended" | "gone"> = []
    while (!options.isClosed()) {
      const found = yield* findAbandoned({ limit: batch, crashesBelow: goesOn ? suspectFrom : undefined })
      const fresh = found.filter((id) => !seen.has(id))
      if (fresh.length === 0) break
      for (const id of fresh) seen.add(id)
      results.push(...(yield* Effect.forEach(fresh, recoverOne, { concurrency })))
    }
    if (goesOn) {
      // Few, and one after the other, so that they do not hold up the next look. The others are looked for again then.
      const suspects = yield* findAbandoned({ limit: concurrency, crashesFrom: suspectFrom })
      results.push(...(yield* Effect.forEach(suspects, recoverOne)))
    }
    const count = (wanted: "continued" | "ended") => results.filter((result) => result === wanted).length
    return { continued: count("continued"), ended: count("ended") }
  })

  const expire = Effect.gen(function* () {
    const { pauseExpiryMs } = options
    if (pauseExpiryMs === undefined) return 0
    const message = `Nobody answered its question within ${pauseExpiryMs} ms, for as long as questions wait here.`
    const expiry: End = { status: "cancelled", name: "PauseExpired", message }
    let expired = 0
    for (const execution of options.here()) {
      const [oldest] = execution.interactions.pending()
      if (oldest === undefined || !execution.progress.isWaiting()) continue
      if (oldest.createdAt >= (yield* Clock.currentTimeMillis) - pauseExpiryMs) continue
      // It may have been answered elsewhere.
      const recorded = Effect.catchTag(store.listInteractions(scopeId, execution.id), "ExecutionNotFound", () =>
        Effect.succeed([])
      )
      for (const interaction of yield* recorded) {
        execution.interactions.answeredElsewhere(interaction)
      }
      if (!execution.progress.isWaiting()) continue
      execution.stop({ _tag: "Cancelled", name: "PauseExpired", message })
      expired++
    }
    for (;;) {
      const askedBefore = (yield* Clock.currentTimeMillis) - pauseExpiryMs
      const ids = yield* store.listExpired(scopeId, { askedBefore, limit: batch })
      const ends = yield* Effect.forEach(ids, (id) => endAs(id, expiry))
      const now = ends.filter((end) => end === "ended").length
      expired += now
      if (now === 0) return expired
    }
  })

  return Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (options.isClosed() || now < quietUntil) return { continued: 0, ended: 0, expired: 0 }
    const { continued, ended } = yield* recoverAll
    return { continued, ended, expired: yield* expire }
  }).pipe(
    Effect.tapError(() => Effect.map(Clock.currentTimeMillis, (now) => (quietUntil = now + leaseMs))),
    Effect.withSpan("ExecutionEngine.recover")
  )
}

/** It ended before it could be cancelled. */
export const endedBefore = (id: ExecutionId, status: ExecutionStatus) =>
  new ExecutionNotCancellable({
    executionId: id,
    message: `It cannot be cancelled: execution ${id} had ended already (${status}).`
  })

/** Cancels an execution that is not here, or asks whoever holds it to, and waits for its end. */
export const cancelElsewhere = Effect.fnUntraced(function* (
  { executor, leaseMs }: EngineParts,
  elsewhere: Elsewhere,
  id: ExecutionId,
  watchMs: number
): Effect.fn.Return<ExecutionStatus, DBError | ExecutionNotFound | ExecutionNotCancellable> {
  const scopeId = executor.scopes[0]
  const store = executor.executions
  const startedAt = yield* Clock.currentTimeMillis
  const waitMs = leaseMs + cancelGraceMs
  let requested = false
  for (;;) {
    const now = yield* Clock.currentTimeMillis
    const result = yield* elsewhere.end(id, cancelled).pipe(
      Effect.as("free" as const),
      Effect.catchTag("ExecutionNotFree", ({ reason }) => Effect.succeed(reason))
    )
    if (result === "free") return "cancelled"
    if (result === "ended") {
      const { status } = (yield* store.getParts(scopeId, id, [])).execution
      return requested ? status : yield* endedBefore(id, status)
    }
    if (!requested) yield* store.requestCancel(scopeId, id, now)
    requested = true
    if (now - startedAt > waitMs) {
      const message = `Execution ${id} is asked to stop, but the process that runs it has not done so within ${waitMs} ms. It may still.`
      return yield* new ExecutionNotCancellable({ executionId: id, message })
    }
    yield* Effect.sleep(watchMs)
  }
})
