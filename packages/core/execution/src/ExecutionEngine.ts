/**
 * The engine's contract: runs code against an executor, records everything, pauses for people, and resumes.
 *
 * Make one with `createExecutionEngine({ executor, codeExecutor })`. Use `execute` where the caller can ask a person there and then, and
 * `executeWithPause` with `resume` where the answer comes by another way, later.
 *
 * What always holds: history that cannot be written never changes or delays a result by more than a bounded time; each
 * answer reaches the call whose question it answers; a person's thinking time counts against no limit; a caller that goes
 * away leaves no execution `running`.
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
   * Called once with the execution's id when the submission is accepted, before anything runs or is recorded: with it the caller can
   * follow the execution in `events`, and cancel it as soon as this has returned. If it throws, nothing runs.
   */
  readonly onStart?: ((executionId: ExecutionId) => void) | undefined
}

/** A question that waits for an answer. */
export interface PendingInteraction {
  readonly id: ExecutionInteractionId
  readonly request: ElicitationRequest
  /** Milliseconds since the epoch. */
  readonly createdAt: number
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
  /** Who answers: recorded with the interaction. */
  readonly resolvedBy?: string | undefined
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
   * its caller: when the caller is interrupted, it ends as `cancelled`.
   */
  readonly execute: (
    code: string,
    options?: ExecutionOptions & { readonly onElicitation?: ElicitationHandler | undefined }
  ) => Effect.Effect<FinishedExecution, ExecutionRefused>
  /**
   * Runs to the end or to the first moment when nothing goes on but waiting for a person: all tool calls under way wait for
   * answers, and the code is idle, so that it makes no others before one is answered. A `setTimeout` of the code does not count as
   * going on. The execution is not tied to its caller: when the caller is interrupted, it goes on.
   */
  readonly executeWithPause: (
    code: string,
    options?: ExecutionOptions
  ) => Effect.Effect<ExecutionOutcome, ExecutionRefused>
  /**
   * Answers a question and waits, as `executeWithPause` does, for what comes next. Where several questions may wait, name
   * the one that was shown: the oldest may have become another meanwhile.
   */
  readonly resume: (
    executionId: ExecutionId,
    answer: InteractionAnswer
  ) => Effect.Effect<
    ExecutionOutcome,
    DBError | ExecutionNotFound | ExecutionNotPaused | InteractionNotFound | InteractionAlreadyResolved | AnswerInvalid
  >
  /** Ends an execution that runs or waits, as `cancelled`. */
  readonly cancel: (
    executionId: ExecutionId
  ) => Effect.Effect<void, DBError | ExecutionNotFound | ExecutionNotCancellable>
  /** What an agent is told before it writes code: the rules of the sandbox, and the sources there are now. */
  readonly getDescription: Effect.Effect<string, DBError>
  /** What happens from now on, to all executions of this engine. A subscriber that lags loses the oldest events. */
  readonly events: Stream.Stream<ExecutionEvent>
  /** History writes that failed or took too long since the engine was made. */
  readonly droppedWrites: Effect.Effect<number>
}

/** The submission is not one: empty, too large, or with a trigger that is none. Nothing ran and nothing was recorded. */
export class ExecutionRefused extends Schema.TaggedError<ExecutionRefused>()("ExecutionRefused", {
  message: Schema.String,
  /** The field that is wrong: `code`, `trigger`, `limits`, `approve`; or `engine` when it is closed. */
  field: Schema.String
}) {}

/** The execution waits for nothing: it runs, has ended, or waits in another process. */
export class ExecutionNotPaused extends Schema.TaggedError<ExecutionNotPaused>()("ExecutionNotPaused", {
  message: Schema.String,
  executionId: Schema.String
}) {}

/** The execution has ended already, or another process runs it. */
export class ExecutionNotCancellable extends Schema.TaggedError<ExecutionNotCancellable>()("ExecutionNotCancellable", {
  message: Schema.String,
  executionId: Schema.String
}) {}

/** The answer does not fit the question; the question still waits. */
export class AnswerInvalid extends Schema.TaggedError<AnswerInvalid>()("AnswerInvalid", {
  message: Schema.String,
  executionId: Schema.String
}) {}
