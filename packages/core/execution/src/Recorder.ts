/**
 * The bookkeeping of one execution: it writes history, and never harms the work.
 *
 * Every write here succeeds, after a bounded time, whatever the store does: a write that fails, dies or takes too
 * long is dropped. A drop is counted, logged once per execution with its cause, and makes the journal incomplete, which the
 * row says (`journal_complete`) as soon as it can be told: that is tried until it is written, or the execution has ended.
 *
 * ## How long an execution waits for its history
 *
 * Each write may take {@link writeWaitMs}, in which time in a queue that moves does not count (`BoundedWrites`). The time spent on
 * writes that ran out of it is taken from the execution's patience, {@link patienceMs} in all. A later write gets no more than what
 * is left, and when nothing is left, writes are dropped without being tried. After {@link restMs} the store gets another chance, with
 * {@link laterPatienceMs} of patience, since an execution may last for days and a store recover in seconds.
 *
 * The last write, the terminal state, is always tried, for {@link endWaitMs}. When it fails it is tried again in the background for as
 * long as the engine lives, which keeps the lease meanwhile (`UnwrittenEnds`), so that nobody takes the execution for lost. After
 * {@link endRetryMs} its result and its log are dropped, to free their memory. A row that could never be created is created then.
 *
 * A journal with a gap must not be replayed, as a call whose note is missing would be made again. So where the write before an effect is
 * dropped, the row is to say that it is incomplete before the effect happens; for as long as the patience lasts, of which that takes at
 * most {@link markWaitMs} a time. Only a process that is lost while its store takes no writes, but later does, leaves a gap that nobody knows of.
 *
 * Each write names the epoch of the lease. Where the store refuses one as `LeaseLost`, another process goes on with the execution: nothing
 * is written here any more, and whoever runs it is told at once, before the step that the write was to precede.
 *
 * So a store that hangs delays an execution by at most four seconds, and half a second more for each half minute that it
 * runs.
 */
import {
  type CallProgress,
  type CreateExecution,
  type ExecutionId,
  type ExecutionInteraction,
  type ExecutionInteractionId,
  type ExecutionStore,
  type ExecutionToolCallId,
  type FinishToolCall,
  type RecordInteraction,
  type RecordToolCall,
  type ResolveInteraction,
  type ScopeId,
  type UpdateExecution
} from "@executor/sdk"
import { Cause, Clock, Context, Effect, Predicate, Schedule } from "effect"
import type { BoundedWrites, WriteResult } from "./BoundedWrites.ts"
import type { UnwrittenEnds } from "./UnwrittenEnds.ts"

/** What one write may take: far above a slow database, far below what a waiting person notices as broken. */
export const writeWaitMs = 2_000

/** What an execution waits, in all, for writes that never come. */
export const patienceMs = 3_000

/** What the note that the journal is incomplete may take before the effect whose note is missing. */
export const markWaitMs = 500

/** How long a store that used up the patience is left alone. */
export const restMs = 30_000

/** What an execution waits for such a store after each rest. */
export const laterPatienceMs = 500

/** What the terminal write may take before it goes on in the background. */
export const endWaitMs = 1_000

/** How long a result is kept for the terminal write: longer than a restart of a database. */
export const endRetryMs = 10 * 60_000

/** Writes the history of one execution. Every method succeeds. */
export interface Recorder {
  /** Writes the row, if it is new; done before the sandbox starts. */
  readonly begin: Effect.Effect<void>
  /** Writes the intent of a call, before the call can have any effect. */
  readonly intent: (call: Omit<RecordToolCall, "scopeId" | "executionId">) => Effect.Effect<void>
  /** Writes the outcome of a call; done before the code sees it. */
  readonly outcome: (id: ExecutionToolCallId, outcome: FinishToolCall) => Effect.Effect<void>
  /** Notes how far a call without an outcome has come. */
  readonly progressed: (seq: number, progress: CallProgress) => Effect.Effect<void>
  readonly asked: (question: Omit<RecordInteraction, "scopeId" | "executionId">) => Effect.Effect<void>
  /** Gives what is recorded instead, where somebody else's answer came first. */
  readonly answered: (
    id: ExecutionInteractionId,
    resolution: ResolveInteraction
  ) => Effect.Effect<ExecutionInteraction | undefined>
  /** Whether all of the journal is in the store. */
  readonly complete: () => boolean
  /** Whether the store has all that was told so far, with the end if it was told. */
  readonly kept: () => boolean
  readonly status: (status: "running" | "waiting_for_interaction") => Effect.Effect<void>
  /** Waits until no write of this execution is under way. */
  readonly drained: Effect.Effect<void>
  /** Writes the terminal state. */
  readonly end: (changes: UpdateExecution) => Effect.Effect<void>
}

/** What recorders of one engine share. */
export interface RecorderOptions {
  readonly store: ExecutionStore["Service"]
  readonly writes: BoundedWrites
  /** The execution's services: its logger hears of drops. */
  readonly context: Context.Context<never>
  /** Told of every drop. */
  readonly onDrop: () => void
  /** Told once when another process has taken the execution over. */
  readonly onLost: () => void
  readonly unwritten: UnwrittenEnds
  /** Runs what must go on after the execution has ended, until the engine closes. */
  readonly runInBackground: (effect: Effect.Effect<unknown>) => void
}

/** The execution that is written: a new one, or one that is in the store under an epoch. */
export interface RecordedExecution {
  readonly execution: CreateExecution
  readonly epoch: number
  readonly isNew: boolean
}

/** Makes the recorder of one execution. */
export const make = (options: RecorderOptions, { epoch, execution, isNew }: RecordedExecution): Recorder => {
  const { store } = options
  const runFork = Effect.runForkWith(options.context)
  const scopeId: ScopeId = execution.scopeId
  const executionId: ExecutionId = execution.id
  const clock = Context.get(options.context, Clock.Clock)
  let patience = patienceMs
  let restUntil = 0
  let underWay = 0
  let complete = true
  let marked = false
  let marking = false
  let ended = false
  let endWritten = false
  let created = !isNew
  let lost = false
  let waitingForDrain: Array<() => void> = []

  const drop = (what: string, cause: Cause.Cause<unknown>) => {
    options.onDrop()
    if (!complete) return
    complete = false
    runFork(
      Effect.logWarning(
        `History of execution ${executionId} is incomplete: ${what} could not be written. The execution goes on; further drops of it are counted, not logged.`,
        cause
      )
    )
  }

  /** Until the row says it, or the end does. */
  const markLater = () => {
    if (marking || marked) return
    marking = true
    const isOver = () => marked || lost || ended
    const tryMark = Effect.andThen(
      mark(writeWaitMs, () => undefined),
      Effect.suspend(() => (isOver() ? Effect.void : Effect.fail("not yet" as const)))
    )
    const untilOver = Effect.retry(
      Effect.suspend(() => (isOver() ? Effect.void : tryMark)),
      retries
    )
    options.runInBackground(Effect.ignore(untilOver))
  }

  const markIncomplete = Effect.suspend(() => store.update(scopeId, executionId, { journalComplete: false }, epoch))

  const mark = (waitMs: number, onTimeout: (waitedMs: number) => void) =>
    options.writes.run(markIncomplete, waitMs, (result) => {
      if (result._tag === "Written") marked = true
      else if (!losesLease(result) && result._tag === "TimedOut") onTimeout(result.waitedMs)
    })

  const markBeforeEffect = Effect.suspend(() => {
    if (complete || marked) return Effect.void
    const tried =
      patience < markWaitMs
        ? Effect.void
        : mark(markWaitMs, (waitedMs) => {
            patience -= waitedMs
          })
    return Effect.map(tried, markLater)
  })

  /** Whether the store refused a write as another process has the execution. */
  const losesLease = (result: WriteResult): boolean => {
    if (result._tag !== "Failed") return false
    const error = Cause.findErrorOption(result.cause)
    if (error._tag === "None" || !Predicate.isTagged(error.value, "LeaseLost")) return false
    if (!lost) {
      lost = true
      options.onLost()
    }
    return true
  }

  const attempt = (write: Effect.Effect<unknown, unknown>, waitMs: number, onEnd: (result: WriteResult) => void) => {
    underWay++
    return options.writes.run(write, waitMs, (result) => {
      underWay--
      onEnd(result)
      if (underWay > 0 || waitingForDrain.length === 0) return
      const waiters = waitingForDrain
      waitingForDrain = []
      for (const resume of waiters) resume()
    })
  }

  const write = (
    what: string,
    effect: () => Effect.Effect<unknown, unknown>,
    { precedesEffect = false }: WriteOptions = {}
  ): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (lost) return Effect.interrupt
      if (patience <= 0 && clock.currentTimeMillisUnsafe() >= restUntil) patience = laterPatienceMs
      if (patience <= 0) {
        drop(what, outOfPatience)
        markLater()
        return Effect.void
      }
      const written = attempt(Effect.suspend(effect), Math.min(writeWaitMs, patience), (result) => {
        if (result._tag === "Written" || losesLease(result)) return
        if (result._tag === "TimedOut") {
          patience -= result.waitedMs
          restUntil = clock.currentTimeMillisUnsafe() + restMs
        }
        drop(what, causeOf(result))
        if (!precedesEffect) markLater()
      })
      const noted = precedesEffect ? Effect.andThen(written, markBeforeEffect) : written
      return Effect.flatMap(noted, () => (lost ? Effect.interrupt : Effect.void))
    })

  const updateEnd = (changes: UpdateExecution): Effect.Effect<void, unknown> =>
    Effect.suspend(() =>
      store.update(scopeId, executionId, complete ? changes : { ...changes, journalComplete: false }, epoch)
    ).pipe(
      // That it ended is written all the same, without the text that no row holds.
      Effect.catchTag("PayloadTooLarge", (cause) => {
        drop(`its end with all of ${cause.field}`, Cause.fail(cause))
        return updateEnd({ ...changes, [cause.field]: null })
      }),
      Effect.asVoid
    )

  const finalWrite = (changes: UpdateExecution) =>
    Effect.suspend(() => {
      const update = updateEnd(changes)
      return created ? update : Effect.andThen(Effect.exit(store.create(execution)), update)
    })

  const tryEnd = (changes: UpdateExecution, onEnd: (result: WriteResult) => void) =>
    attempt(finalWrite(changes), endWaitMs, (result) => {
      if (result._tag === "Written") endWritten = true
      onEnd(result)
    })

  /** Tries again until the end is written, or the execution is known to be somebody else's. */
  const retryEnd = (changes: UpdateExecution): Effect.Effect<void> => {
    let isOver = false
    const attempt = tryEnd(changes, (result) => (isOver = result._tag === "Written" || losesLease(result)))
    options.unwritten.add(
      executionId,
      Effect.map(attempt, () => {
        if (isOver) options.unwritten.delete(executionId)
      })
    )
    const untilOver = Effect.suspend(() => (isOver ? Effect.void : Effect.fail("not yet" as const)))
    return Effect.andThen(attempt, untilOver).pipe(
      Effect.retry(Schedule.upTo(retries, { duration: endRetryMs })),
      Effect.andThen(Effect.sync(() => options.unwritten.delete(executionId))),
      Effect.catch(() => {
        if (changes.resultJson != null || changes.logsJson != null) drop("its result and its log", outOfPatience)
        return retryEnd({ ...changes, resultJson: null, logsJson: null })
      })
    )
  }

  return {
    begin: isNew
      ? write(
          "its start",
          () => Effect.tap(store.create(execution), () => Effect.sync(() => (created = true))),
          beforeEffect
        )
      : Effect.void,
    intent: (call) =>
      write(
        `the start of call ${call.seq}`,
        () => store.recordToolCall({ ...call, executionId, scopeId }, epoch),
        beforeEffect
      ),
    outcome: (id, outcome) =>
      write(`the outcome of call ${id}`, () => store.finishToolCall(scopeId, id, outcome, epoch)),
    progressed: (seq, progress) =>
      write(
        `the progress of call ${seq}`,
        () => store.updateToolCall(scopeId, executionId, seq, progress, epoch),
        beforeEffect
      ),
    asked: (question) =>
      write("a question", () => store.recordInteraction({ ...question, executionId, scopeId }, epoch)),
    answered: (id, resolution) => {
      let first: ExecutionInteraction | undefined
      const resolve = store.resolveInteraction(scopeId, id, resolution, epoch)
      const readFirst = Effect.map(store.listInteractions(scopeId, executionId), (recorded) => {
        first = recorded.find((interaction) => interaction.id === id)
      })
      return Effect.map(
        write("an answer", () => Effect.catchTag(resolve, "InteractionAlreadyResolved", () => readFirst)),
        () => first
      )
    },
    status: (status) =>
      write("its status", () =>
        store.update(scopeId, executionId, complete ? { status } : { status, journalComplete: false }, epoch)
      ),
    complete: () => complete && created,
    kept: () => complete && (ended ? endWritten : created),
    drained: Effect.callback<void>((resume) => {
      if (underWay === 0) return resume(Effect.void)
      waitingForDrain.push(() => resume(Effect.void))
    }),
    end: (changes) => {
      ended = true
      return tryEnd(changes, (result) => {
        if (result._tag === "Written" || losesLease(result)) return
        options.runInBackground(retryEnd(changes))
        runFork(
          Effect.logWarning(
            `The end of execution ${executionId} is not written yet; it is tried again.`,
            causeOf(result)
          )
        )
      })
    }
  }
}

interface WriteOptions {
  /** Whether what is written tells, after a crash, that something may have happened. */
  readonly precedesEffect?: boolean
}

const beforeEffect: WriteOptions = { precedesEffect: true }

const retries = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("10 seconds")])

const causeOf = (result: Exclude<WriteResult, { readonly _tag: "Written" }>): Cause.Cause<unknown> =>
  result._tag === "Failed"
    ? result.cause
    : Cause.fail(`The store did not answer within ${result.waitedMs} ms, so nobody waits for it any longer.`)

const outOfPatience = Cause.fail("The store did not answer for so long that it is left alone for a while.")
