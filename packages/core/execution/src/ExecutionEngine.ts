/**
 * The engine's contract: runs code against an executor, records everything, pauses for people, and resumes.
 *
 * Make one with `createExecutionEngine({ executor, codeExecutor })`. Use `execute` where the caller can ask a person there and then, and
 * `executeWithPause` with `resume` where the answer comes by another way, later.
 *
 * What always holds: history that cannot be written never changes or delays a result by more than a bounded time; each
 * answer reaches the call whose question it answers; a person's thinking time counts against no limit; a caller that goes
 * away leaves no execution `running`; an execution is run by one engine at a time, and no call is made twice unless its tool allows it.
 */
import type { ExecutionFailure, Limits, LogEntry } from "@executor/kernel"
import type {
  DBError,
  ElicitationAction,
  ElicitationHandler,
  ElicitationRequest,
  ExecutionId,
  ExecutionInteractionId,
  ExecutionNotFound,
  ExecutionStatus,
  ExecutionTrigger,
  InteractionAlreadyResolved,
  InteractionNotFound,
  ToolCallStatus
} from "@executor/sdk"
import { type Effect, Schema, type Stream } from "effect"

/** Options of every execution. */
export interface ExecutionOptions {
  /** What started it; `{ kind: "sdk" }` if absent. */
  readonly trigger?: ExecutionTrigger | undefined
  /** Changes to the engine's limits for this execution. */
  readonly limits?: Partial<typeof Limits.Type> | undefined
  /** Tools whose approval is granted beforehand: paths, or patterns such as `github.*` and `*.create`. Nobody is asked for them. */
  readonly approve?: ReadonlyArray<string> | undefined
  /**
   * Called once with the execution's id when the submission has its place, before anything runs: with it the caller can
   * follow the execution in `events`, and cancel it as soon as this has returned. If it throws, nothing runs, and nothing is recorded
   * but, of one with an idempotency key, that it was not started.
   */
  readonly onStart?: ((executionId: ExecutionId) => void) | undefined
  /**
   * Makes the submission one that is only done once: the same key and code in the same scope give the same execution, running or
   * finished; for a fork it has to be of the same execution. At most {@link maxIdempotencyKeyLength} characters.
   */
  readonly idempotencyKey?: string | undefined
}

/** Room for a UUID, a hash or a URL. */
export const maxIdempotencyKeyLength = 255

/** A question that waits for an answer. */
export interface PendingInteraction {
  readonly id: ExecutionInteractionId
  readonly request: ElicitationRequest
  /** Milliseconds since the epoch. */
  readonly createdAt: number
}

/** How much goes on in a process. */
export interface AdmissionLoad {
  /** Executions that hold a place: those that run, and do not only wait for a person. */
  readonly underWay: number
  /** Submissions and answers that wait for a place. */
  readonly queued: number
}

/** An execution that waits for a person. */
export interface PausedExecution {
  /** The id of its row, and what `resume` takes. */
  readonly id: ExecutionId
  /** The oldest question: what `resume` answers when it names none. */
  readonly interaction: PendingInteraction
  /** All that wait, oldest first. */
  readonly interactions: ReadonlyArray<PendingInteraction>
  readonly toolCallCount: number
  /**
   * Whether it waits on when this engine closes. It does not where a tool that has begun asks, as its call cannot be taken up
   * elsewhere, or where the journal is not complete.
   */
  readonly survives: boolean
  /** Why the history may not have all of it, as a sentence; absent where it has. */
  readonly historyProblem?: string | undefined
}

/** An execution that has ended. */
export interface FinishedExecution {
  readonly status: "completed" | "failed" | "cancelled"
  readonly executionId: ExecutionId
  /** The returned value, parsed from `resultJson` when first read. */
  readonly result: unknown
  /** The returned value as JSON text, exact to the byte; `undefined` when nothing was returned. */
  readonly resultJson: string | undefined
  readonly error?: ExecutionFailure | undefined
  readonly logs: ReadonlyArray<LogEntry>
  readonly toolCallCount: number
  readonly durationMs: number
  /** Why the history may not have all of it, as a sentence; absent where it has. */
  readonly historyProblem?: string | undefined
}

/** What `executeWithPause` and `resume` come back with. */
export type ExecutionOutcome = FinishedExecution | { readonly status: "paused"; readonly execution: PausedExecution }

/** An answer to a question of an execution. */
export interface InteractionAnswer {
  readonly action: ElicitationAction
  /** What a form asked for; validated against its schema. */
  readonly content?: { readonly [key: string]: unknown } | undefined
  /** Which question, when several wait; the oldest if absent. */
  readonly interactionId?: ExecutionInteractionId | undefined
  /** Who answers: recorded with the interaction. At most 255 characters. */
  readonly resolvedBy?: string | undefined
  /** Goes on even though another build of the sandbox wrote the journal: the code may take another way, and fail as `Diverged`. */
  readonly anyBuild?: boolean | undefined
}

/** What `recover` did. */
export interface RecoveryReport {
  /** Executions that go on in this engine. */
  readonly continued: number
  /** Executions that were ended, as nobody can go on with them. */
  readonly ended: number
  /** Executions that had waited for a person longer than they may. */
  readonly expired: number
}

/** A call, as the journal has it or as the code made it. */
export interface CallShape {
  readonly seq: number
  readonly path: string
  /** JSON text; null for no arguments. */
  readonly argsJson: string | null
}

/** Where code left its journal: what was recorded there, and what it called instead. Either may be nothing. */
export interface Divergence {
  readonly recorded: CallShape | undefined
  readonly made: CallShape | undefined
}

/** How much of the old journal a fork used. */
export interface ForkReport {
  /** Calls whose recorded result was taken. */
  readonly reused: number
  /** Calls in the old journal. */
  readonly recorded: number
  /** The first call that was made anew; nothing if none was. */
  readonly divergence: Divergence | undefined
}

/** What a fork came to. */
export interface ForkOutcome {
  readonly report: ForkReport
  readonly outcome: ExecutionOutcome
}

/** What a replay came to, beside what was recorded. */
export interface ReplayReport {
  readonly same: boolean
  readonly recorded: ReplayedEnd
  readonly replayed: ReplayedEnd
  /** Where the code left its journal: it did not get to its end. */
  readonly divergence: Divergence | undefined
  /** Calls whose recorded outcome was used. */
  readonly calls: number
}

/** An end, as it is compared: `errorText` is `name: message`. */
export interface ReplayedEnd {
  readonly status: ExecutionStatus
  readonly resultJson: string | null
  readonly errorText: string | null
}

/** Something that happened to an execution, told once the history has it (or has failed to take it). */
export type ExecutionEvent =
  | {
      readonly _tag: "ExecutionStarted"
      readonly executionId: ExecutionId
      readonly trigger: ExecutionTrigger
      readonly at: number
    }
  | {
      /** An engine has taken it over from its journal. */
      readonly _tag: "ExecutionContinued"
      readonly executionId: ExecutionId
      readonly at: number
    }
  | {
      readonly _tag: "ToolCallStarted"
      readonly executionId: ExecutionId
      readonly seq: number
      readonly toolPath: string
      readonly at: number
    }
  | {
      readonly _tag: "ToolCallFinished"
      readonly executionId: ExecutionId
      readonly seq: number
      readonly toolPath: string
      readonly status: ToolCallStatus
      readonly at: number
    }
  | {
      readonly _tag: "InteractionRequested"
      readonly executionId: ExecutionId
      readonly interaction: PendingInteraction
      readonly at: number
    }
  | {
      readonly _tag: "InteractionResolved"
      readonly executionId: ExecutionId
      readonly interactionId: ExecutionInteractionId
      readonly action: ElicitationAction
      readonly at: number
    }
  | {
      readonly _tag: "ExecutionFinished"
      readonly executionId: ExecutionId
      readonly status: ExecutionStatus
      readonly at: number
    }

/** Runs code against an executor. */
export interface ExecutionEngine {
  /**
   * Runs to the end; questions go to `onElicitation`, or are answered `cancel` without one. The execution is tied to
   * its caller: when the caller is interrupted, it ends as `cancelled`, or is not run if it still waits in line.
   */
  readonly execute: (
    code: string,
    options?: ExecutionOptions & { readonly onElicitation?: ElicitationHandler | undefined }
  ) => Effect.Effect<FinishedExecution, SubmissionError>
  /**
   * Runs to the end or to the first moment when nothing goes on but waiting for a person: all tool calls under way wait for
   * answers, and the code is idle, so that it makes no others before one is answered. A `setTimeout` of the code does not count as
   * going on. The execution is not tied to its caller: when the caller is interrupted, it goes on, unless it still
   * waits in line: then it is not run.
   */
  readonly executeWithPause: (
    code: string,
    options?: ExecutionOptions
  ) => Effect.Effect<ExecutionOutcome, SubmissionError>
  /**
   * Answers a question and waits, as `executeWithPause` does, for what comes next: of any execution, whoever started it and
   * wherever it waits. Where several questions may wait, name the one that was shown: the oldest may have become another meanwhile.
   */
  readonly resume: (
    executionId: ExecutionId,
    answer: InteractionAnswer
  ) => Effect.Effect<
    ExecutionOutcome,
    | DBError
    | ExecutionNotFound
    | ExecutionNotPaused
    | ExecutionNotResumable
    | ExecutionInterrupted
    | TooManyExecutions
    | InteractionNotFound
    | InteractionAlreadyResolved
    | AnswerInvalid
  >
  /** Ends an execution that runs or waits, wherever it does, as `cancelled`. */
  readonly cancel: (
    executionId: ExecutionId
  ) => Effect.Effect<void, DBError | ExecutionNotFound | ExecutionNotCancellable>
  /**
   * Takes executions that should run and that nobody runs, as their process is gone, and goes on with them from their journals (or ends
   * them, if the engine was made so); ends those that waited too long. Done when all are taken: those that go on do so beside it.
   */
  readonly recover: Effect.Effect<RecoveryReport, DBError>
  /**
   * Runs other code on the journal of an execution: calls that match, in their order, get their recorded results, and from the
   * first that does not all are made. A new execution, whose parent is the old one. A call whose failure the old code ended with
   * is made anew, and does not keep the others from getting theirs.
   */
  readonly fork: (
    executionId: ExecutionId,
    code: string,
    options?: ForkOptions
  ) => Effect.Effect<ForkOutcome, DBError | ExecutionNotFound | ExecutionNotResumable | SubmissionError>
  /** What `fork` would do, up to the first call that it would make; nothing is called and nothing recorded. */
  readonly previewFork: (
    executionId: ExecutionId,
    code: string,
    options?: Pick<ForkOptions, "limits" | "anyBuild">
  ) => Effect.Effect<
    ForkReport,
    DBError | ExecutionNotFound | ExecutionNotResumable | ExecutionRefused | TooManyExecutions
  >
  /** Runs an execution that has ended again, on its journal alone, and compares the ends. Nothing is called and nothing recorded. */
  readonly replay: (
    executionId: ExecutionId,
    options?: ReplayOptions
  ) => Effect.Effect<
    ReplayReport,
    DBError | ExecutionNotFound | ExecutionNotResumable | ExecutionRefused | TooManyExecutions
  >
  /** What an agent is told before it writes code: the rules of the sandbox, and the sources there are now. */
  readonly getDescription: Effect.Effect<string, DBError>
  /** What happens from now on, to all executions of this engine. A subscriber that lags loses the oldest events. */
  readonly events: Stream.Stream<ExecutionEvent>
  /** History writes that failed or took too long since the engine was made, and ends that are not written yet. */
  readonly droppedWrites: Effect.Effect<number>
  /** How many executions are under way, and how many wait in line: of all engines that share its `Admission`. */
  readonly load: Effect.Effect<AdmissionLoad>
}

/** Options of a fork. */
export interface ForkOptions extends ExecutionOptions {
  /** Tries even though the journal was made with another build of the sandbox: the code may leave it where it did not before. */
  readonly anyBuild?: boolean | undefined
}

/** Options of a replay. */
export interface ReplayOptions {
  /** Tries even though the journal was made with another build of the sandbox. */
  readonly anyBuild?: boolean | undefined
}

/** All that a submission can fail with. An execution that ran and failed is no failure here. */
export type SubmissionError = ExecutionRefused | IdempotencyConflict | ExecutionInterrupted | TooManyExecutions

/** The submission is not one: empty, too large, or with a trigger that is none. Nothing ran and nothing was recorded. */
export class ExecutionRefused extends Schema.TaggedError<ExecutionRefused>()("ExecutionRefused", {
  message: Schema.String,
  /**
   * The field that is wrong: `code`, `trigger`, `limits`, `approve`, `idempotencyKey`. Or what is at fault where the submission is in
   * order: `engine` when it is closed, and `history` when it cannot keep an idempotency key, or failed while it did.
   */
  field: Schema.String,
  /** What the history failed with: in the database's own words, for whoever runs it. */
  cause: Schema.optional(Schema.Defect())
}) {}

/** More is under way than may be, and more waits in line than may. Nothing ran and nothing was recorded. */
export class TooManyExecutions extends Schema.TaggedError<TooManyExecutions>()("TooManyExecutions", {
  message: Schema.String,
  /** The setting that was reached, and its value. */
  limit: Schema.Literal("queuedExecutions"),
  value: Schema.Int,
  /** When there may be room again, by how fast the line moved lately. */
  retryAfterMs: Schema.Int
}) {}

/** The idempotency key was used with other code, or for a fork of another execution. Nothing ran. */
export class IdempotencyConflict extends Schema.TaggedError<IdempotencyConflict>()("IdempotencyConflict", {
  message: Schema.String,
  /** The execution that has the key. */
  executionId: Schema.String
}) {}

/**
 * This engine does not run the execution any more: it closes (`handed_over`), or another has taken it over (`lease_lost`). The
 * execution has not ended by that.
 */
export class ExecutionInterrupted extends Schema.TaggedError<ExecutionInterrupted>()("ExecutionInterrupted", {
  message: Schema.String,
  executionId: Schema.String,
  reason: Schema.Literals(["handed_over", "lease_lost"])
}) {}

/** The execution cannot be run from its journal. Nothing was changed. */
export class ExecutionNotResumable extends Schema.TaggedError<ExecutionNotResumable>()("ExecutionNotResumable", {
  message: Schema.String,
  executionId: Schema.String,
  /**
   * Its journal is not complete, or was written by another build of the sandbox; its options are not valid any more; or it has not
   * ended, and is to be compared with its end.
   */
  reason: Schema.Literals(["journal_incomplete", "other_build", "options_invalid", "not_ended"])
}) {}

/** The execution waits for nothing: it runs, or has ended. */
export class ExecutionNotPaused extends Schema.TaggedError<ExecutionNotPaused>()("ExecutionNotPaused", {
  message: Schema.String,
  executionId: Schema.String
}) {}

/** The execution has ended already, or the process that runs it does not answer. */
export class ExecutionNotCancellable extends Schema.TaggedError<ExecutionNotCancellable>()("ExecutionNotCancellable", {
  message: Schema.String,
  executionId: Schema.String
}) {}

/** The answer does not fit the question; the question still waits. */
export class AnswerInvalid extends Schema.TaggedError<AnswerInvalid>()("AnswerInvalid", {
  message: Schema.String,
  executionId: Schema.String
}) {}
