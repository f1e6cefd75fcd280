/**
 * The engine: takes submissions, answers and requests to cancel, wherever their execution is.
 *
 * What runs or waits in this process is lived in `Life`; what does not is reached through the store in `Elsewhere`. An operation on
 * an execution looks here first. `recover` brings back what other processes have left.
 */
import { type CodeExecutor, Limits } from "@executor/kernel"
import type { DBError, ExecutionId, ExecutionJournal, ExecutionNotFound, Executor } from "@executor/sdk"
import { Cause, Clock, Effect, FiberSet, Option, Result, type Scope, Semaphore } from "effect"
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import * as Admission from "./Admission.ts"
import { shapeProblem } from "./Answers.ts"
import * as BoundedWrites from "./BoundedWrites.ts"
import * as BuiltinTools from "./BuiltinTools.ts"
import * as Description from "./Description.ts"
import * as Elsewhere from "./Elsewhere.ts"
import * as Events from "./Events.ts"
import {
  AnswerInvalid,
  type ExecutionEngine,
  type ExecutionInterrupted,
  ExecutionNotPaused,
  type ExecutionOptions,
  type ExecutionOutcome,
  ExecutionRefused,
  type FinishedExecution,
  type SubmissionError
} from "./ExecutionEngine.ts"
import * as Fork from "./Fork.ts"
import * as ForkMark from "./ForkMark.ts"
import * as Idempotency from "./Idempotency.ts"
import type { InDoubtPolicy } from "./InDoubt.ts"
import type { InlineHandler } from "./Interactions.ts"
import * as Lease from "./Lease.ts"
import * as Life from "./Life.ts"
import { type EngineParts, type LiveExecution, mint, parentOf } from "./LiveExecution.ts"
import * as Recovery from "./Recovery.ts"
import * as Rerun from "./Rerun.ts"
import * as Submission from "./Submission.ts"
import * as UnwrittenEnds from "./UnwrittenEnds.ts"

/** What an engine is made of. */
export interface ExecutionEngineOptions {
  readonly executor: Executor
  readonly codeExecutor: CodeExecutor["Service"]
  /** The limits of executions that do not change them; `Limits.defaults` if absent. */
  readonly limits?: Limits | undefined
  /** Names this engine in the rows of its executions, and no other engine ever; random if absent. */
  readonly owner?: string | undefined
  /**
   * What becomes of executions when the process that ran them ends: they go on in another (`resume`), or are ended as `cancelled` by the
   * process itself, and as `failed` by `recover` if it was killed (`end`, the default). It does not concern those that wait for a
   * person: they wait on.
   */
  readonly recovery?: "resume" | "end" | undefined
  /**
   * What becomes of a call in doubt whose tool may not simply be called again: a person is asked (`ask`, the default), it is called
   * again (`repeat`), or it ends the execution (`fail`).
   */
  readonly inDoubt?: InDoubtPolicy | undefined
  /** How long a question waits for its answer, in milliseconds, before `recover` cancels its execution; for ever if absent. */
  readonly pauseExpiryMs?: number | undefined
  /**
   * How long an execution belongs to this engine when it says nothing more, in milliseconds; 30,000 by default. After that others may
   * take it over: it has to be longer than the process may ever stand still.
   */
  readonly leaseMs?: number | undefined
  /**
   * Whether the history outlives the process, as by default. Where it does not, a submission with an idempotency key is refused: sent
   * again after a crash, it would be done again.
   */
  readonly keepsHistory?: boolean | undefined
  /** How much may go on at once. Engines of one process share it, each has its own if absent: see `Admission`. */
  readonly admission?: Admission.Admission | undefined
}

/** Makes an engine. When its scope closes, what runs is handed over or ends as `cancelled`, as its `recovery` says. */
export const createExecutionEngine = Effect.fnUntraced(function* (
  options: ExecutionEngineOptions
): Effect.fn.Return<ExecutionEngine, never, Scope.Scope> {
  const { codeExecutor, executor, keepsHistory = true, leaseMs = Lease.defaultLeaseMs, recovery = "end" } = options
  const limits = options.limits ?? Limits.defaults
  const scopeId = executor.scopes[0]
  const store = executor.executions
  const owner = options.owner ?? uuidV7Unsafe()
  const executions = new Map<ExecutionId, LiveExecution>()
  const runInBackground = yield* FiberSet.makeRuntime()
  const admission = options.admission ?? Admission.make()
  const door = admission.door(scopeId)
  let dropped = 0

  const parts: EngineParts = {
    executor,
    codeExecutor,
    builtins: BuiltinTools.make(executor),
    writes: yield* BoundedWrites.make(store.answeredWrites),
    unwritten: UnwrittenEnds.make(),
    events: yield* Events.make,
    owner,
    leaseMs,
    inDoubt: options.inDoubt ?? "ask",
    recovery,
    keepsHistory,
    onDrop: () => dropped++,
    runInBackground
  }
  const { unwritten } = parts
  const leases = yield* Lease.make({ store, scopeId, owner, leaseMs, executions, unwritten })
  const lives = Life.make(parts, executions, leases)
  const elsewhere = Elsewhere.make(parts, lives, limits, door)
  const oneAtATime = makeLocks()
  const journalOf = (id: ExecutionId) => store.readJournal(scopeId, id)
  const openFork = (journal: ExecutionJournal, anyBuild: boolean | undefined) =>
    Fork.make(journal, { build: codeExecutor.build, anyBuild, journalOf })

  yield* Effect.addFinalizer(() => Effect.andThen(Effect.sync(door.close), lives.close))

  /** Begins a submission, after it has waited in line for a place. */
  const start = Effect.fnUntraced(function* (
    code: string,
    options: ExecutionOptions,
    { inline, interruptible, origin }: StartOptions
  ) {
    const submission = yield* Submission.parse(code, options, limits)
    if (!keepsHistory && submission.idempotencyKey !== undefined) return yield* keyNotKept
    const begin = (place: Admission.Place) =>
      Effect.onError(beginIn(place, submission, { inline, origin, onStart: options.onStart }), () =>
        Effect.sync(place.leave)
      )
    const place = door.tryEnter()
    if (place !== undefined) return yield* begin(place)
    if (lives.isClosed()) return yield* Admission.engineClosed
    const parentExecutionId = origin?.journal.execution.id ?? parentOf(submission)
    const existing = yield* Idempotency.existing(parts, { fork: origin?.fork, parentExecutionId }, submission)
    if (existing !== undefined) return existing
    // The trigger names it also of a fork, whose origin has ended.
    const caller = parentOf(submission)
    const nested = caller !== null && executions.has(caller)
    return yield* Effect.flatMap(door.enter(interruptible, { nested }), begin)
  })

  const beginIn = Effect.fnUntraced(function* (
    place: Admission.Place,
    parsed: Submission.Submission,
    { inline, onStart, origin }: Omit<StartOptions, "interruptible"> & Pick<ExecutionOptions, "onStart">
  ) {
    const submission = origin === undefined ? parsed : ForkMark.marked(parsed)
    const minted = mint(submission, yield* Clock.currentTimeMillis, leaseMs)
    const identity = origin === undefined ? minted : { ...minted, ...Fork.inherited(origin.journal), fork: origin.fork }
    const started = yield* lives.entering(
      Idempotency.once(parts, identity, submission, (identity) =>
        lives.live(identity, submission, { inline, onStart, place })
      )
    )
    if (Option.isNone(started)) return yield* Admission.engineClosed
    if (started.value._tag === "Existing") place.leave()
    return started.value
  })

  /** Runs what takes the sandbox for a while, in a place. */
  const inPlace = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(door.enter(restore), (place) => Effect.ensuring(restore(effect), Effect.sync(place.leave)))
    )

  /** Waits for an execution wherever it is. */
  const toEndOrPause = (
    id: ExecutionId
  ): Effect.Effect<ExecutionOutcome, DBError | ExecutionNotFound | ExecutionInterrupted> => {
    const execution = executions.get(id)
    if (execution === undefined) return elsewhere.toEndOrPause(id)
    return Effect.catchTag(lives.toEndOrPause(execution), "ExecutionInterrupted", () => elsewhere.toEndOrPause(id))
  }

  /** Waits for the execution that has a key. */
  const existing = (id: ExecutionId) =>
    Effect.catchTag(
      toEndOrPause(id),
      ["DBError", "ExecutionNotFound"],
      // The row was there a moment ago: what fails now is the store.
      (cause) => Idempotency.notRead(id, cause)
    )

  const existingToEnd = (id: ExecutionId): Effect.Effect<FinishedExecution, ExecutionRefused | ExecutionInterrupted> =>
    Effect.flatMap(existing(id), (outcome) =>
      outcome.status === "paused"
        ? Effect.andThen(Effect.sleep(Elsewhere.watchMs), existingToEnd(id))
        : Effect.succeed(outcome)
    )

  /** Ties an execution to whoever waits for it, also to a caller that went away while it began. */
  const toEndOrGone = (execution: LiveExecution, interruptible: Admission.Restore) =>
    Effect.onInterrupt(interruptible(lives.toEnd(execution)), () => {
      execution.stop({ _tag: "Cancelled", message: "Its caller went away before it ended." })
      return lives.toGone(execution)
    })

  const cancelHere = Effect.fnUntraced(function* (execution: LiveExecution) {
    execution.stop({ _tag: "Cancelled", message: Lease.cancelledOnRequest })
    const ended = yield* Effect.result(lives.toEnd(execution))
    if (Result.isSuccess(ended)) return ended.success.status
    return yield* Recovery.cancelElsewhere(parts, elsewhere, execution.id, Elsewhere.watchMs)
  })

  /** The execution, if it is here and stays. */
  const here = Effect.fnUntraced(function* (id: ExecutionId) {
    const execution = executions.get(id)
    if (execution !== undefined) yield* lives.settled(execution)
    return executions.get(id)
  })

  return {
    execute: Effect.fn("ExecutionEngine.execute")(function* (code, options = {}) {
      const { onElicitation: handler, trigger } = options
      const inline = handler === undefined ? nobody : { handler, answeredBy: trigger?.kind ?? "sdk" }
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(start(code, options, { inline, origin: undefined, interruptible: restore }), (started) =>
          started._tag === "New"
            ? toEndOrGone(started.execution, restore)
            : restore<FinishedExecution, SubmissionError, never>(existingToEnd(started.id))
        )
      )
    }),
    executeWithPause: Effect.fn("ExecutionEngine.executeWithPause")(function* (code, options = {}) {
      const started = yield* Effect.uninterruptibleMask((interruptible) =>
        start(code, options, { inline: undefined, origin: undefined, interruptible })
      )
      return yield* started._tag === "New" ? lives.toEndOrPause(started.execution) : existing(started.id)
    }),
    resume: Effect.fn("ExecutionEngine.resume")(function* (executionId, answer) {
      const problem = shapeProblem(answer)
      if (problem !== undefined) return yield* new AnswerInvalid({ executionId, message: problem })
      // A caller that goes away has answered, or has not; it does not leave half an answer.
      const entered = yield* Effect.uninterruptibleMask((restore) => {
        const answerElsewhere = elsewhere.answer(executionId, answer, restore)
        const answered = oneAtATime(
          executionId,
          restore,
          Effect.gen(function* () {
            const live = yield* here(executionId)
            if (live === undefined) return yield* answerElsewhere
            const answered = yield* Effect.exit(live.interactions.answer(answer))
            if (answered._tag === "Success") return live
            // The answer was refused here, as another process has the execution.
            if (Cause.hasInterruptsOnly(answered.cause) && live.left() !== undefined) return yield* answerElsewhere
            return yield* answered
          })
        ).pipe(Effect.catchTag("ExecutionNotFree", ({ message }) => isStillRun(executionId, message)))
        return lives.entering(answered)
      })
      if (Option.isNone(entered)) return yield* Elsewhere.closedHere(executionId)
      const execution = entered.value
      return execution === undefined ? yield* toEndOrPause(executionId) : yield* lives.toEndOrPause(execution)
    }),
    cancel: Effect.fn("ExecutionEngine.cancel")(function* (executionId) {
      const execution = yield* here(executionId)
      const status =
        execution === undefined
          ? yield* Recovery.cancelElsewhere(parts, elsewhere, executionId, Elsewhere.watchMs)
          : yield* cancelHere(execution)
      if (status !== "cancelled") return yield* Recovery.endedBefore(executionId, status)
    }),
    recover: Recovery.make(parts, elsewhere, {
      recovery,
      pauseExpiryMs: options.pauseExpiryMs,
      isHere: (id) => executions.has(id),
      here: () => executions.values(),
      isClosed: lives.isClosed,
      toEndOrPause: lives.toEndOrPause
    }),
    fork: Effect.fn("ExecutionEngine.fork")(function* (executionId, code, { anyBuild, ...options } = {}) {
      const journal = yield* journalOf(executionId)
      const fork = yield* openFork(journal, anyBuild)
      const started = yield* Effect.uninterruptibleMask((interruptible) =>
        start(code, options, { inline: undefined, origin: { journal, fork }, interruptible })
      )
      if (started._tag === "New") {
        const outcome = yield* lives.toEndOrPause(started.execution)
        return { outcome, report: fork.report() }
      }
      const outcome = yield* existing(started.id)
      for (const { argsJson, seq, toolPath } of yield* store.listToolCalls(scopeId, started.id)) {
        fork.take({ seq, path: toolPath, argsJson: argsJson ?? undefined })
      }
      return { outcome, report: fork.report() }
    }),
    previewFork: Effect.fn("ExecutionEngine.previewFork")(function* (executionId, code, options = {}) {
      const journal = yield* journalOf(executionId)
      const fork = yield* openFork(journal, options.anyBuild)
      const submission = yield* Submission.parse(code, options, limits)
      return yield* inPlace(Rerun.previewFork(codeExecutor, journal.execution, submission, fork))
    }),
    replay: Effect.fn("ExecutionEngine.replay")(function* (executionId, options = {}) {
      const journal = yield* journalOf(executionId)
      return yield* inPlace(Rerun.replay(codeExecutor, journal, limits, options))
    }),
    getDescription: Effect.suspend(() => Description.describe(executor, limits)),
    events: parts.events.stream,
    droppedWrites: Effect.sync(() => dropped + unwritten.ids().length),
    load: Effect.sync(admission.load)
  }
})

/** How a submission begins. */
interface StartOptions {
  readonly inline: InlineHandler | undefined
  /** What it is a fork of. */
  readonly origin: { readonly journal: ExecutionJournal; readonly fork: Fork.Fork } | undefined
  /** For the wait for a place: a caller that goes away meanwhile has submitted nothing. */
  readonly interruptible: Admission.Restore
}

const keyNotKept = new ExecutionRefused({
  field: "history",
  message:
    "The history cannot be kept now, and so the idempotency key cannot be either: nothing ran. Send it again once it can."
})

/** Where nobody can be asked, a question is recorded and answered at once. */
const nobody: InlineHandler = { handler: () => Effect.succeed({ action: "cancel" }), answeredBy: null }

const isStillRun = (executionId: ExecutionId, message: string) =>
  new ExecutionNotPaused({
    executionId,
    message: `${message} Its process has not given it up, and could not be told the answer: try again.`
  })

/** Runs what concerns one execution one after the other. Only the wait can be interrupted: what is before may wait in line itself. */
const makeLocks = () => {
  const locks = new Map<ExecutionId, { readonly semaphore: Semaphore.Semaphore; users: number }>()
  return <A, E>(id: ExecutionId, interruptible: Admission.Restore, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const lock = locks.get(id) ?? { semaphore: Semaphore.makeUnsafe(1), users: 0 }
      locks.set(id, lock)
      lock.users++
      const release = Effect.sync(() => {
        if (--lock.users === 0) locks.delete(id)
      })
      const { semaphore } = lock
      const one = Effect.flatMap(interruptible(semaphore.take(1)), () => Effect.ensuring(effect, semaphore.release(1)))
      return Effect.ensuring(one, release)
    })
}
