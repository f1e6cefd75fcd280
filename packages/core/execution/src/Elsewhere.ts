/**
 * Executions that this engine does not run: those that wait parked, those that other processes hold, and those whose process is gone.
 *
 * Taking one over reads its journal first and claims it then, with the answer that it waited for where there is one, in one write: of
 * several processes that try, one does. What another holds is answered and cancelled through its row, which the holder looks at
 * from time to time (`Lease`), and waited for by looking at the row here.
 */
import { type Limits, readJson } from "@executor/kernel"
import {
  type Claim,
  type DBError,
  ElicitationRequest,
  type Execution,
  ExecutionId,
  type ExecutionInteraction,
  type ExecutionJournal,
  type ExecutionNotFound,
  ExecutionNotFree,
  type InteractionAlreadyResolved,
  InteractionNotFound,
  isTerminal
} from "@executor/sdk"
import { Clock, Effect, Exit, Option, Result, Schema } from "effect"
import type { Door, Place, Restore } from "./Admission.ts"
import { acceptAnswer } from "./Answers.ts"
import * as Crashes from "./Crashes.ts"
import {
  AnswerInvalid,
  ExecutionInterrupted,
  ExecutionNotPaused,
  ExecutionNotResumable,
  type ExecutionOutcome,
  type InteractionAnswer,
  type PausedExecution,
  type PendingInteraction,
  type TooManyExecutions
} from "./ExecutionEngine.ts"
import { finishedOf } from "./Conclusion.ts"
import * as Fork from "./Fork.ts"
import * as ForkMark from "./ForkMark.ts"
import { alreadyResolved, resolutionOf } from "./Interactions.ts"
import { cancelledOnRequest } from "./Lease.ts"
import type { Lives } from "./Life.ts"
import type { EngineParts, LiveExecution } from "./LiveExecution.ts"
import { closings } from "./OpenCalls.ts"
import { whyNotResumable } from "./Resumable.ts"
import * as Submission from "./Submission.ts"

/** How often the row of an execution is looked at that another process runs. */
export const watchMs = 250

/** What taking over and answering can fail with. */
export type TakeError = DBError | ExecutionNotFound | ExecutionNotResumable | ExecutionNotFree

/** The end of an execution that nobody runs. */
export interface End {
  readonly status: "cancelled" | "failed"
  readonly name: string
  readonly message: string
}

/** The end of one that somebody cancelled. */
export const cancelled: End = { status: "cancelled", name: "Cancelled", message: cancelledOnRequest }

/** Executions that are not here. */
export interface Elsewhere {
  /**
   * Goes on with a free execution, or ends it as failed if nobody can. It is `gone` where somebody else has it, and where its turn comes
   * later (see `Crashes`). Fails where another build of the sandbox can go on with it: it stays for that.
   */
  readonly goOn: (id: ExecutionId) => Effect.Effect<LiveExecution | "ended" | "gone", DBError | ExecutionNotResumable>
  /** Answers a question, and goes on with the execution if nobody else does. */
  readonly answer: (
    id: ExecutionId,
    answer: InteractionAnswer,
    /** For the wait for a place: nothing is answered before it. */
    interruptible: Restore
  ) => Effect.Effect<
    LiveExecution | undefined,
    | TakeError
    | ExecutionInterrupted
    | TooManyExecutions
    | ExecutionNotPaused
    | InteractionNotFound
    | InteractionAlreadyResolved
    | AnswerInvalid
  >
  /** Waits until an execution that another process runs has ended or waits for a person. If that process is gone, it goes on here. */
  readonly toEndOrPause: (
    id: ExecutionId
  ) => Effect.Effect<ExecutionOutcome, DBError | ExecutionNotFound | ExecutionInterrupted>
  /** Writes the end of a free execution without running it: its calls and questions are closed. */
  readonly end: (id: ExecutionId, end: End) => Effect.Effect<void, DBError | ExecutionNotFound | ExecutionNotFree>
}

/** Makes the way to executions that are not here. */
export const make = (parts: EngineParts, lives: Lives, limits: Limits, door: Door): Elsewhere => {
  const { codeExecutor, executor, leaseMs, owner } = parts
  const scopeId = executor.scopes[0]
  const store = executor.executions
  const suspects = Crashes.make(lives.executions, (id) => store.heldExecutions(scopeId, [id]))

  const claimNow = (id: ExecutionId, more: Pick<Claim, "answer" | "cancels" | "sandboxBuild"> = {}) =>
    Effect.flatMap(Clock.currentTimeMillis, (at) =>
      store.claim(scopeId, id, { owner, at, leaseUntil: at + leaseMs, ...more })
    )

  const go = Effect.fnUntraced(function* (
    before: ExecutionJournal,
    submission: Submission.Submission,
    epoch: number,
    place: Place
  ) {
    // Read again: it may have been taken and given up between the first reading and the claim.
    const { calls, crashes, execution, interactions } =
      before.execution.epoch === epoch ? before : yield* journalOf(before.execution.id)
    const { id, parentExecutionId, seed, startedAt } = execution
    const fork = ForkMark.isMarked(before.optionsJson) ? yield* forkOf(before) : undefined
    return yield* lives.live(
      {
        id,
        startedAt: startedAt ?? execution.createdAt,
        seed,
        parentExecutionId,
        epoch,
        leaseUntil: execution.leaseUntil ?? 0,
        crashesBefore: crashes,
        isRowWritten: true,
        written: { calls, interactions },
        fork
      },
      submission,
      { place }
    )
  })

  /** The journal that a fork takes from. */
  const forkOf = Effect.fnUntraced(function* (journal: ExecutionJournal) {
    const { id: executionId, parentExecutionId } = journal.execution
    const gone = new ExecutionNotResumable({
      executionId,
      reason: "journal_incomplete",
      message: `Execution ${executionId} is a fork of ${parentExecutionId}, whose journal is there no more.`
    })
    if (parentExecutionId === null) return yield* gone
    const parent = yield* Effect.catchTag(journalOf(parentExecutionId), "ExecutionNotFound", () => gone)
    // Whoever made the fork took the build of its parent.
    return yield* Fork.make(parent, { build: codeExecutor.build, anyBuild: true, journalOf })
  })

  const journalOf = (id: ExecutionId) => store.readJournal(scopeId, id)

  /** Whoever asked for it may go away, but not leave what is taken to nobody. */
  const take = Effect.fnUntraced(function* (
    id: ExecutionId,
    place: Place
  ): Effect.fn.Return<LiveExecution | "ended" | "gone", TakeError> {
    if (lives.executions.has(id) || parts.unwritten.has(id)) return "gone"
    const journal = yield* journalOf(id)
    if (journal.cancelRequestedAt !== null) return yield* Effect.as(end(id, cancelled), "ended" as const)
    const submission = yield* restore(journal)
    const { crashes } = journal
    if (crashes >= Crashes.maxCrashes) return yield* Effect.as(end(id, Crashes.endOf(id, crashes)), "ended" as const)
    const taken = claimNow(id).pipe(
      Effect.catchTag(["InteractionNotFound", "InteractionAlreadyResolved"], Effect.die),
      Effect.flatMap((epoch) => go(journal, submission, epoch, place))
    )
    return yield* Crashes.isSuspect(crashes) ? suspects.alone(taken) : taken
  })

  /** Waits for a place; only the waiting is cut short where the caller goes away. */
  const enter = Effect.fnUntraced(function* (id: ExecutionId, interruptible: Restore) {
    const place = door.tryEnter()
    if (place !== undefined) return place
    const { parentExecutionId } = (yield* store.getParts(scopeId, id, [])).execution
    const nested = parentExecutionId !== null && lives.executions.has(parentExecutionId)
    return yield* door.enter(interruptible, { begun: true, nested })
  })

  /** Runs what may go on with an execution here, in a place that is left where it does not. */
  const inPlace = <A, E>(place: Place, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.onExit(effect, (exit) =>
      Effect.sync(() => {
        if (Exit.isFailure(exit) || typeof exit.value === "string") place.leave()
      })
    )

  const goOnInPlace = (id: ExecutionId) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(enter(id, restore), (place) =>
        inPlace(
          place,
          Effect.map(
            lives.entering(take(id, place)),
            Option.getOrElse(() => "gone" as const)
          )
        )
      )
    )

  const goOn: Elsewhere["goOn"] = (id) =>
    Effect.flatMap(suspects.keepBack(id), (keptBack) =>
      keptBack ? Effect.succeed("gone" as const) : goOnInPlace(id)
    ).pipe(
      Effect.catchTag(["TooManyExecutions", "ExecutionRefused"], () => Effect.succeed("gone" as const)),
      Effect.catchTag(
        "ExecutionNotResumable",
        (problem): Effect.Effect<"ended", DBError | ExecutionNotFound | ExecutionNotFree | ExecutionNotResumable> =>
          problem.reason === "other_build"
            ? Effect.fail(problem)
            : Effect.as(end(id, { status: "failed", name: "NotResumable", message: problem.message }), "ended")
      ),
      Effect.catchTag(["ExecutionNotFree", "ExecutionNotFound"], () => Effect.succeed("gone" as const))
    )

  /** What was submitted, if it can be gone on with: asked before an execution is taken, as nobody else could go on with it then. */
  const restore = Effect.fnUntraced(function* (
    journal: ExecutionJournal,
    anyBuild?: boolean
  ): Effect.fn.Return<Submission.Submission, ExecutionNotResumable | DBError> {
    const problem = whyNotResumable(journal, codeExecutor.build, anyBuild)
    if (problem !== undefined) return yield* problem
    if (ForkMark.isMarked(journal.optionsJson)) yield* forkOf(journal)
    return yield* Effect.mapError(
      Submission.restore(journal.execution, journal.optionsJson, limits),
      ({ message }) =>
        new ExecutionNotResumable({ executionId: journal.execution.id, reason: "options_invalid", message })
    )
  })

  const answer: Elsewhere["answer"] = Effect.fnUntraced(function* (id, given, interruptible) {
    const journal = yield* journalOf(id)
    const question = yield* find(journal, given)
    if (question.status !== "pending" && given.interactionId !== undefined) return yield* alreadyResolved(question)
    if (isTerminal(journal.execution.status) || parts.unwritten.has(id)) return yield* notPaused(journal.execution)
    const { action, content } = given
    const request = requestOf(question)
    const response = yield* Effect.mapError(
      acceptAnswer(request, content === undefined ? { action } : { action, content }, question.purpose),
      (message) => new AnswerInvalid({ executionId: id, message })
    )
    const written = { id: question.id, resolution: resolutionOf(response, given.resolvedBy ?? null, question.purpose) }
    // A holder may give it up, and somebody take it, between two tries; hardly twice.
    for (let attempt = 0; ; attempt++) {
      const at = yield* Clock.currentTimeMillis
      const told = yield* Effect.result(store.answerHeld(scopeId, id, written, at))
      if (Result.isSuccess(told)) return undefined
      const error = told.failure
      if (error._tag !== "ExecutionNotFree" || attempt === 3) return yield* error
      if (error.reason === "ended") return yield* notPaused((yield* store.get(scopeId, id)).execution)
      // Nobody holds it, so it goes on here, if it can.
      if (journal.cancelRequestedAt !== null) {
        yield* end(id, cancelled)
        return yield* notPaused((yield* store.get(scopeId, id)).execution)
      }
      const submission = yield* restore(journal, given.anyBuild)
      const sandboxBuild = given.anyBuild === true ? codeExecutor.build : undefined
      const place = yield* Effect.catchTag(enter(id, interruptible), "ExecutionRefused", () => closedHere(id))
      const taken = Effect.gen(function* () {
        const epoch = yield* claimNow(id, { answer: written, sandboxBuild })
        parts.events.publish({ _tag: "InteractionResolved", executionId: id, interactionId: question.id, action, at })
        return yield* go(yield* journalOf(id), submission, epoch, place)
      })
      const claimed = yield* Effect.result(inPlace(place, taken))
      if (Result.isSuccess(claimed)) return claimed.success
      if (claimed.failure._tag !== "ExecutionNotFree") return yield* claimed.failure
    }
  })

  const find = (
    { execution, interactions }: ExecutionJournal,
    { interactionId }: InteractionAnswer
  ): Effect.Effect<ExecutionInteraction, ExecutionNotPaused | InteractionNotFound> => {
    if (interactionId !== undefined) {
      const named = interactions.find(({ id }) => id === interactionId)
      if (named !== undefined) return Effect.succeed(named)
      const message = `Execution ${execution.id} has asked no question ${interactionId}. Get the execution to see what it asks.`
      return Effect.fail(new InteractionNotFound({ message, interactionId }))
    }
    const oldest = interactions.find(({ status }) => status === "pending") ?? interactions.findLast(() => true)
    return oldest === undefined ? notPaused(execution) : Effect.succeed(oldest)
  }

  const toEndOrPause: Elsewhere["toEndOrPause"] = Effect.fnUntraced(function* (id) {
    for (;;) {
      const { execution } = yield* store.getParts(scopeId, id, [])
      if (isTerminal(execution.status)) return finishedOf((yield* store.get(scopeId, id)).execution)
      if (execution.status === "waiting_for_interaction") {
        const paused = yield* pausedOf(id, execution.toolCallCount)
        if (paused !== undefined) return { status: "paused", execution: paused }
      }
      const live = lives.executions.get(id) ?? ((yield* isAbandoned(execution)) ? yield* goOnNow(id) : "gone")
      if (typeof live !== "string") {
        const outcome = yield* Effect.result(lives.toEndOrPause(live))
        if (Result.isSuccess(outcome)) return outcome.success
      }
      if (lives.isClosed()) return yield* closedHere(id)
      yield* Effect.sleep(watchMs)
    }
  })

  /** Goes on with it, or tells its caller that it waits for another process. */
  const goOnNow = (id: ExecutionId) =>
    Effect.catchTag(goOn(id), "ExecutionNotResumable", ({ message }) =>
      Effect.fail(new ExecutionInterrupted({ executionId: id, reason: "handed_over", message }))
    )

  const isAbandoned = ({ leaseUntil, owner: holder, status }: Pick<Execution, "leaseUntil" | "owner" | "status">) =>
    Effect.map(Clock.currentTimeMillis, (now) => status === "running" && holder !== owner && (leaseUntil ?? 0) <= now)

  const pausedOf = Effect.fnUntraced(function* (id: ExecutionId, toolCallCount: number) {
    const pending = (yield* store.listInteractions(scopeId, id)).filter(({ status }) => status === "pending")
    const interactions = pending.map(pendingOf)
    const [interaction] = interactions
    return interaction === undefined
      ? undefined
      : ({ id, interaction, interactions, toolCallCount, survives: true } satisfies PausedExecution)
  })

  const end: Elsewhere["end"] = Effect.fnUntraced(
    function* (id, { message, name, status }) {
      const epoch = yield* claimNow(id, { cancels: status === "cancelled" }).pipe(
        Effect.catchTag(["InteractionNotFound", "InteractionAlreadyResolved"], Effect.die)
      )
      const { calls, execution, interactions } = yield* journalOf(id)
      const now = yield* Clock.currentTimeMillis
      yield* endRows(parts, { calls, interactions, epoch, now, message })
      const startedAt = execution.startedAt ?? execution.createdAt
      yield* store
        .update(
          scopeId,
          id,
          { status, errorText: `${name}: ${message}`, completedAt: now, durationMs: Math.max(0, now - startedAt) },
          epoch
        )
        .pipe(Effect.catchTag("PayloadTooLarge", Effect.die))
      parts.events.publish({ _tag: "ExecutionFinished", executionId: id, status, at: now })
    },
    // It took longer than a lease, and somebody else goes on with it.
    Effect.catchTag(
      "LeaseLost",
      ({ executionId, message }) =>
        new ExecutionNotFree({ executionId: ExecutionId.make(executionId), message, reason: "held" })
    ),
    Effect.uninterruptible
  )

  return { goOn, answer, toEndOrPause, end }
}

/** Closes what an execution that is not run again has left open. */
const endRows = Effect.fnUntraced(function* (
  { builtins, executor }: EngineParts,
  journal: Pick<ExecutionJournal, "calls" | "interactions"> & {
    readonly epoch: number
    readonly now: number
    readonly message: string
  }
) {
  const { calls, epoch, interactions, message, now } = journal
  const scopeId = executor.scopes[0]
  const store = executor.executions
  const isBuiltin = (path: string) => builtins.has(path)
  for (const { id, outcome } of closings({ calls, interactions, isBuiltin, why: message, at: now })) {
    yield* store
      .finishToolCall(scopeId, id, outcome, epoch)
      .pipe(Effect.catchTag(["PayloadTooLarge", "ToolCallNotFound"], Effect.die))
  }
  for (const { id, status } of interactions) {
    if (status !== "pending") continue
    const unanswered = { status: "cancelled", responseJson: null, resolvedBy: null } as const
    yield* store.resolveInteraction(scopeId, id, unanswered, epoch).pipe(
      Effect.catchTag("InteractionAlreadyResolved", () => Effect.void),
      Effect.catchTag("InteractionNotFound", Effect.die)
    )
  }
})

/** The question of a record. */
const requestOf = ({ payloadJson }: ExecutionInteraction): ElicitationRequest =>
  Schema.decodeUnknownSync(ElicitationRequest)(readJson(payloadJson))

const pendingOf = (interaction: ExecutionInteraction): PendingInteraction => ({
  id: interaction.id,
  request: requestOf(interaction),
  createdAt: interaction.createdAt
})

/** This engine is closed: what becomes of the execution is heard of through another. */
export const closedHere = (executionId: ExecutionId) =>
  new ExecutionInterrupted({
    executionId,
    reason: "handed_over",
    message: `This engine is closed: answer execution ${executionId}, or wait for it, through another.`
  })

/** An execution that waits for no answer. */
export const notPaused = ({ id, status }: Pick<Execution, "id" | "status">) =>
  new ExecutionNotPaused({
    executionId: id,
    message: isTerminal(status)
      ? `It waits for no answer: execution ${id} has ended (${status}). Send its code again to run it once more.`
      : `Execution ${id} is ${status} and has asked nothing. Wait until it asks, or until it ends.`
  })
