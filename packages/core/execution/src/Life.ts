/**
 * The life of an execution from top to bottom.
 *
 * ```
 * an identity: minted, or taken over with its journal
 *   -> write the row (running)                    -- or not: it is there
 *     -> run the program in the sandbox           -- its calls: ToolCalls, Journal; its questions: Interactions
 *        -> nothing goes on but waiting: park it  -- give it up, sandbox and all; an answer takes it over again
 *   <- close the calls it left open
 *   <- write the terminal state, tell everybody who waits
 * ```
 *
 * Whatever happens on the way (the store fails, the caller goes away, the engine closes), the second half is reached, unless the
 * execution **leaves**: parked, handed over as the engine closes, or taken by another process. Then its row stays as it is, and whoever
 * takes it over goes on from its journal. The fiber that lives this life cannot be interrupted, and everything it waits for is
 * bounded. Only the program itself takes the time it takes, until it is stopped.
 */
import { type CodeExecutionError, type ExecuteResult, Limits, type LogEntry } from "@executor/kernel"
import type { ExecutionId } from "@executor/sdk"
import { Cause, Effect, Exit, Fiber, type Option, Semaphore } from "effect"
import type { Place } from "./Admission.ts"
import { conclude, historyProblem } from "./Conclusion.ts"
import type { ExecutionInterrupted, ExecutionOutcome, FinishedExecution } from "./ExecutionEngine.ts"
import type { InlineHandler } from "./Interactions.ts"
import type { Leases } from "./Lease.ts"
import { divergedBy, type EngineParts, type Identity, type LiveExecution, make as makeLive } from "./LiveExecution.ts"
import { closings } from "./OpenCalls.ts"
import type { Submission } from "./Submission.ts"

/** How long a stopped sandbox may take to let go of its program. One that takes longer is left behind. */
export const sandboxStopMs = 5_000

/** How long calls under way may take to end when their execution is handed over; the rest is in doubt for whoever goes on. */
export const handOverMs = 5_000

/** More than can be entering at once. */
const maxEntering = 2 ** 30

/** How long what is entering an engine that closes is waited for. */
const enteringMs = 5_000

/** How long a store may take to note that an execution leaves. */
const storeWaitMs = 2_000

/** How long a store may take to give an execution up that waits: nobody is kept by it, and a slow machine may start a thread to read. */
const parkWaitMs = 10_000

/** The executions of an engine. */
export interface Lives {
  /** Those that run or wait here. */
  readonly executions: ReadonlyMap<ExecutionId, LiveExecution>
  /** Lives an execution beside the caller. */
  readonly live: (identity: Identity, submission: Submission, options: LifeOptions) => Effect.Effect<LiveExecution>
  /** Waits for the end. */
  readonly toEnd: (execution: LiveExecution) => Effect.Effect<FinishedExecution, ExecutionInterrupted>
  /** Waits for the end, or for the moment when nothing goes on but waiting for a person. */
  readonly toEndOrPause: (execution: LiveExecution) => Effect.Effect<ExecutionOutcome, ExecutionInterrupted>
  /** Waits until nothing of it is done here any more. */
  readonly toGone: (execution: LiveExecution) => Effect.Effect<void>
  /** Waits until an execution that is being given up is gone, or is not given up. */
  readonly settled: (execution: LiveExecution) => Effect.Effect<void>
  /** Does what may bring an execution here: closing waits for it. Nothing where this has closed. */
  readonly entering: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<Option.Option<A>, E>
  /** Hands over or ends what lives here, and whatever still comes. */
  readonly close: Effect.Effect<void>
  readonly isClosed: () => boolean
}

/** How an execution is lived. */
export interface LifeOptions {
  /** Its place among what is under way, which it leaves when it is here no more. */
  readonly place: Place
  /** Asks in the host; without it questions wait, and an execution that only waits is parked. */
  readonly inline?: InlineHandler | undefined
  readonly onStart?: ((executionId: ExecutionId) => void) | undefined
}

/** Makes the executions of an engine. */
export const make = (parts: EngineParts, executions: Map<ExecutionId, LiveExecution>, leases: Leases): Lives => {
  const { codeExecutor, events, executor } = parts
  const scopeId = executor.scopes[0]
  const store = executor.executions
  const fibers = new WeakMap<LiveExecution, Fiber.Fiber<void>>()
  const parking = new Map<ExecutionId, Set<() => void>>()
  const entry = Semaphore.makeUnsafe(maxEntering)
  let closed = false

  const live = Effect.fnUntraced(function* (identity: Identity, submission: Submission, options: LifeOptions) {
    const context = yield* Effect.context<never>()
    const { inline, place } = options
    const onWaits = () => {
      place.rest()
      if (inline === undefined) parkIfPossible(execution)
    }
    const execution = makeLive(parts, identity, submission, { context, inline, onWaits, place })
    options.onStart?.(execution.id)
    executions.set(execution.id, execution)
    leases.watch()
    if (closed) sendAway(execution)
    // A write that is refused as the lease is lost ends what it was to precede, which may be the life.
    const life = Effect.catchCause(run(execution), (cause) =>
      execution.left() !== undefined && Cause.hasInterruptsOnly(cause)
        ? depart(execution, [])
        : finish(execution, Exit.failCause(cause))
    )
    fibers.set(execution, Effect.runForkWith(context)(life, { uninterruptible: true }))
    return execution
  })

  const run = Effect.fnUntraced(function* (execution: LiveExecution) {
    const { id: executionId, journal, recorder, startedHereAt, submission, written } = execution
    yield* recorder.begin
    yield* journal.unnumber
    events.publish(
      written === undefined
        ? { _tag: "ExecutionStarted", executionId, trigger: submission.trigger, at: startedHereAt }
        : { _tag: "ExecutionContinued", executionId, at: startedHereAt }
    )

    execution.wallTime.run()
    const { exit, logs } = yield* runProgram(execution)
    execution.wallTime.hold()
    execution.progress.close()

    if (execution.left() !== undefined) return yield* depart(execution, logs)
    // What is closed now is how it ended here: nobody goes on with it.
    execution.concludes()
    yield* closeCalls(execution)
    yield* execution.interactions.close
    yield* recorder.drained
    if (execution.left() !== undefined) return yield* depart(execution, logs)
    yield* finish(execution, exit, logs)
  })

  const finish = Effect.fnUntraced(function* (
    execution: LiveExecution,
    exit: Exit.Exit<ExecuteResult, CodeExecutionError>,
    stoppedLogs: ReadonlyArray<LogEntry> = []
  ) {
    const { id: executionId, journal, recorded, recorder, startedAt } = execution
    execution.concludes()
    const completedAt = execution.now()
    const unmade = Exit.isSuccess(exit) ? recorded.unmade(journal.count()) : undefined
    const { finished, row } = yield* conclude({
      executionId,
      exit: unmade === undefined ? exit : Exit.interrupt(),
      stopped: unmade === undefined ? execution.stopped() : divergedBy({ recorded: unmade, made: undefined }),
      stoppedLogs,
      toolCallCount: journal.count(),
      startedAt,
      completedAt
    })
    yield* recorder.end(row)
    forget(execution)
    if (execution.left() !== undefined) return
    events.publish({ _tag: "ExecutionFinished", executionId, status: finished.status, at: completedAt })
    execution.end(Object.assign(finished, historyOf(parts, execution)))
  })

  /** The end of an execution that goes on elsewhere: all that is written is the outcome of calls that end now, and its logs. */
  const depart = Effect.fnUntraced(function* (execution: LiveExecution, logs: ReadonlyArray<LogEntry>) {
    const { epoch, id, recorder, toolCalls } = execution
    const handsOver = execution.left() === "handed_over"
    const goesOn = !toolCalls.onlyAsk()
    yield* toolCalls.leave(handsOver ? handOverMs : 0)
    // What it has logged so far, should it never go on. Whoever goes on has it from the program again.
    if (logs.length > 0) {
      yield* bounded(store.update(scopeId, id, { logsJson: JSON.stringify(logs) }, epoch))
    }
    if (handsOver && recorder.complete()) {
      // One that waits for a person and for a timer is not to wait for the person alone: then rather its lease runs out.
      const runsOn = !goesOn || (yield* bounded(store.update(scopeId, id, { status: "running" }, epoch)))
      if (runsOn) yield* bounded(store.release(scopeId, id, epoch))
    }
    forget(execution)
  })

  /** It is here no more, unless this engine has taken it anew since. */
  const forget = (execution: LiveExecution) => {
    if (executions.get(execution.id) === execution) executions.delete(execution.id)
    execution.place.leave()
  }

  /** Waits for the store, but not for ever; whether it is known to be done. */
  const bounded = (
    access: Effect.Effect<unknown, unknown>,
    { waitMs = storeWaitMs, ...options }: { readonly waitMs?: number; readonly strict?: boolean } = {}
  ) =>
    Effect.suspend(() => {
      let done = false
      return Effect.map(
        parts.writes.run(access, waitMs, ({ _tag }) => (done = _tag === "Written"), options),
        () => done
      )
    })

  const runProgram = (execution: LiveExecution) => {
    const { context, seed, startedAt: startTime, submission, toolCalls } = execution
    const runFork = Effect.runForkWith(context)
    let logs: ReadonlyArray<LogEntry> = []
    return Effect.callback<ProgramEnd>((resume) => {
      const end = (exit: ProgramEnd["exit"]) => resume(Effect.succeed({ exit, logs }))
      if (execution.stopped() !== undefined || execution.left() !== undefined) return end(Exit.interrupt())
      const sandbox = runFork(
        Effect.suspend(() =>
          codeExecutor.execute(submission.code, toolCalls.invoker, {
            limits: withoutWallTime(submission.limits),
            seed,
            startTime,
            onIdle: execution.codeRests,
            onStopped: (told) => (logs = told)
          })
        )
      )
      sandbox.addObserver(end)
      execution.onStop(() => {
        sandbox.interruptUnsafe()
        if (sandbox.pollUnsafe() !== undefined) return
        const giveUp = Effect.sync(() => end(Exit.interrupt()))
        const timer = runFork(Effect.andThen(Effect.sleep(sandboxStopMs), giveUp))
        sandbox.addObserver(() => timer.interruptUnsafe())
      })
    })
  }

  const closeCalls = Effect.fnUntraced(function* (execution: LiveExecution) {
    const { journal, now, recorder, toolCalls, written } = execution
    const stopped = execution.stopped()
    const why =
      stopped === undefined
        ? "The program ended before this call did: it did not wait for it."
        : "The execution was stopped while this call was under way."
    yield* toolCalls.close({ grace: stopped === undefined, why })
    if (written === undefined) return
    // Recorded calls that the code did not come to again.
    const calls = written.calls.filter(({ call }) => call.seq >= journal.count())
    const isBuiltin = (path: string) => parts.builtins.has(path)
    yield* Effect.forEach(
      closings({ calls, interactions: written.interactions, isBuiltin, why, at: now() }),
      ({ id, outcome }) => recorder.outcome(id, outcome),
      { concurrency: "unbounded", discard: true }
    )
  })

  const parkIfPossible = (execution: LiveExecution): void => {
    const { context, id } = execution
    if (parking.has(id) || !survives(execution)) return
    const waiters = new Set<() => void>()
    parking.set(id, waiters)
    Effect.runForkWith(context)(park(execution)).addObserver(() => {
      parking.delete(id)
      for (const told of waiters) told()
    })
  }

  /** Gives up an execution that waits, unless an answer has come meanwhile. */
  const park = (execution: LiveExecution) =>
    Effect.gen(function* () {
      const { epoch, id, interactions } = execution
      // Whoever waits for the pause is told first.
      yield* Effect.yieldNow
      const heard = Effect.map(store.listInteractions(scopeId, id), (recorded) => {
        for (const interaction of recorded) interactions.answeredElsewhere(interaction)
      })
      // Where the store does not do it, it stays here. Whoever has answered or taken it is heard of by `Lease`.
      if (!(yield* bounded(heard, { waitMs: parkWaitMs, strict: true }))) return
      if (!execution.progress.isWaiting() || execution.stopped() !== undefined) return
      const released = store.release(scopeId, id, epoch, "waiting_for_interaction")
      if (yield* bounded(released, { waitMs: parkWaitMs })) execution.leave("parked")
    })

  const toEnd = (execution: LiveExecution) =>
    Effect.callback<FinishedExecution, ExecutionInterrupted>((resume) => {
      const forget = execution.onEnd(resume)
      return Effect.sync(forget)
    })

  const toEndOrPause = (execution: LiveExecution) =>
    Effect.callback<ExecutionOutcome, ExecutionInterrupted>((resume) => {
      const forgetEnd = execution.onEnd(resume)
      const forgetPause = execution.progress.onWaiting(() => {
        forgetEnd()
        resume(Effect.succeed(pausedNow(parts, execution)))
      })
      return Effect.sync(() => {
        forgetEnd()
        forgetPause()
      })
    })

  const toGone = (execution: LiveExecution) =>
    Effect.suspend(() => {
      const fiber = fibers.get(execution)
      return fiber === undefined ? Effect.void : Effect.asVoid(Fiber.await(fiber))
    })

  const settled = Effect.fnUntraced(function* (execution: LiveExecution) {
    yield* Effect.callback<void>((resume) => {
      const waiters = parking.get(execution.id)
      if (waiters === undefined) return resume(Effect.void)
      waiters.add(() => resume(Effect.void))
    })
    if (execution.left() !== undefined) yield* toGone(execution)
  })

  const sendAway = (execution: LiveExecution) => {
    const message =
      "The engine that ran it was closed: its process is shutting down. Send the code again to start over."
    // Where the store is slow, an execution that only waits may not be parked yet.
    const onlyWaits = execution.progress.isWaiting() && execution.toolCalls.onlyAsk()
    const goesOnElsewhere = (parts.recovery === "resume" || onlyWaits) && execution.recorder.complete()
    if (goesOnElsewhere) execution.leave("handed_over")
    else execution.stop({ _tag: "Cancelled", message })
  }

  const closeOne = Effect.fnUntraced(function* (execution: LiveExecution) {
    yield* settled(execution)
    sendAway(execution)
    yield* toGone(execution)
  })

  const closeAll = Effect.suspend(() =>
    Effect.forEach(Array.from(executions.values()), closeOne, { concurrency: "unbounded", discard: true })
  )

  /** What has ended gets a last chance to be written. What does not make it is found by others, with the journal that there is. */
  const writeEnds = Effect.flatMap(parts.unwritten.tryAll, (left) =>
    left === 0
      ? Effect.void
      : Effect.logError(`The ends of ${left} executions could not be written before the engine closed.`)
  )

  return {
    executions,
    live,
    toEnd,
    toEndOrPause,
    toGone,
    settled,
    entering: (effect) =>
      entry.withPermits(1)(Effect.suspend(() => (closed ? Effect.succeedNone : Effect.asSome(effect)))),
    close: Effect.suspend(() => {
      closed = true
      // What is under way beside these is heard of, or sends itself away as it enters; a store that hangs is not waited for.
      const allEntered = Effect.timeoutOption(entry.withPermits(maxEntering)(Effect.void), enteringMs)
      const left = Effect.all([closeAll, Effect.andThen(allEntered, closeAll)], {
        concurrency: "unbounded",
        discard: true
      })
      return Effect.andThen(left, writeEnds)
    }),
    isClosed: () => closed
  }
}

/** How the sandbox let go of a program, and what the program had logged if it was stopped. */
interface ProgramEnd {
  readonly exit: Exit.Exit<ExecuteResult, CodeExecutionError>
  readonly logs: ReadonlyArray<LogEntry>
}

/** The sandbox cannot know what a call waits for, so this limit is kept here: see `WallTime`. */
const withoutWallTime = (limits: Limits): Limits =>
  limits.wallTimeMs === null ? limits : new Limits({ ...limits, wallTimeMs: null })

const survives = ({ recorder, toolCalls }: LiveExecution): boolean => recorder.complete() && toolCalls.onlyAsk()

/** What the caller has to know of the history of an execution, if it is not all there. */
const historyOf = ({ keepsHistory }: EngineParts, { recorder }: LiveExecution) => {
  if (!keepsHistory) return { historyProblem: historyProblem.notKept }
  return recorder.kept() ? undefined : { historyProblem: historyProblem.incomplete }
}

const pausedNow = (parts: EngineParts, live: LiveExecution): ExecutionOutcome => {
  const { id, interactions, journal } = live
  const pending = interactions.pending()
  const [interaction] = pending
  if (interaction === undefined) throw new Error(`execution ${id} waits, but asks nothing`)
  return {
    status: "paused",
    execution: {
      id,
      interaction,
      interactions: pending,
      toolCallCount: journal.count(),
      survives: survives(live),
      ...historyOf(parts, live)
    }
  }
}
