/**
 * What goes in and comes out when an execution is started, answered or cancelled.
 *
 * An execution that ended is answered with 200, whether its program completed or failed: the submission was served. One that
 * waits for a person is answered with 202 and its questions. `status` tells the two apart in the body as well.
 */
import { ElicitationAction, ExecutionId, ExecutionInteractionId } from "@executor/sdk"
import { Schema } from "effect"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import { PendingInteractionRecord } from "./Records.ts"

const Positive = Schema.Int.check(Schema.isGreaterThan(0))
const bytes = (description: string) =>
  Schema.optionalKey(Positive.annotate({ description: `${description}, in bytes.` }))
const count = (description: string) => Schema.optionalKey(Positive.annotate({ description: `${description}.` }))

/** Limits of one execution, in place of the server's own. Those left out stay as the server has them. */
export const ExecutionLimits = Schema.Struct({
  cpuTimeMs: Schema.optionalKey(
    Positive.annotate({ description: "Time the code itself computes, in milliseconds. Waiting does not count." })
  ),
  wallTimeMs: Schema.optionalKey(
    Schema.NullOr(Positive).annotate({
      description: "Time from start to end in milliseconds, waiting included; null for none."
    })
  ),
  heapBytes: bytes("Memory of the sandbox"),
  stackBytes: bytes("Stack of the sandbox"),
  sourceBytes: bytes("The submitted TypeScript"),
  toolCalls: count("Tool calls over the whole execution"),
  toolCallsInFlight: count("Tool calls under way at once; more wait their turn"),
  argumentsBytes: bytes("The arguments of one tool call as JSON"),
  toolResultBytes: bytes("The result of one tool call as JSON"),
  resultBytes: bytes("The result of the execution as JSON"),
  logBytes: bytes("All console output")
}).annotate({ identifier: "ExecutionLimits" })
export type ExecutionLimits = typeof ExecutionLimits.Type

/** The body of `POST /executions`. */
export const CreateExecutionPayload = Schema.Struct({
  code: Schema.String.annotate({
    description: "TypeScript. Top-level await and return work; `tools` reaches every tool."
  }),
  approve: Schema.optionalKey(
    Schema.Array(Schema.String).annotate({
      description: "Tools whose approval is granted beforehand: paths, or patterns such as `github.*` and `*.create`."
    })
  ),
  limits: Schema.optionalKey(ExecutionLimits)
}).annotate({ identifier: "CreateExecution" })
export type CreateExecutionPayload = typeof CreateExecutionPayload.Type

/** The body of `POST /executions/:id/resume`. */
export const ResumeExecutionPayload = Schema.Struct({
  action: ElicitationAction.annotate({ description: "Agree, say no, or walk away." }),
  content: Schema.optionalKey(
    Schema.Record(Schema.String, Schema.Json).annotate({
      description: "What a form asked for, in the shape of its `requestedSchema`. Fields left out have its defaults."
    })
  ),
  interactionId: Schema.optionalKey(
    ExecutionInteractionId.annotate({ description: "Which question, when several wait; the oldest without it." })
  ),
  anyBuild: Schema.optionalKey(
    Schema.Boolean.annotate({ description: "Goes on even though another build of the sandbox wrote the journal." })
  )
}).annotate({ identifier: "ResumeExecution" })
export type ResumeExecutionPayload = typeof ResumeExecutionPayload.Type

/** Why a program has no result. Positions are in the submitted code, from 1. */
export const FailureRecord = Schema.Struct({
  name: Schema.String,
  message: Schema.String,
  line: Schema.optionalKey(Schema.Int),
  column: Schema.optionalKey(Schema.Int),
  stack: Schema.optionalKey(Schema.String),
  limit: Schema.optionalKey(Schema.String.annotate({ description: "The limit that was passed." }))
}).annotate({ identifier: "ExecutionFailure", description: "Why a program has no result." })
export type FailureRecord = typeof FailureRecord.Type

/** A line of console output. */
export const LogRecord = Schema.Struct({
  level: Schema.Literals(["debug", "log", "info", "warn", "error"]),
  message: Schema.String,
  at: Schema.Finite.annotate({ description: "The sandbox's clock, in milliseconds since the epoch." })
}).annotate({ identifier: "LogEntry" })
export type LogRecord = typeof LogRecord.Type

const historyProblem = Schema.optionalKey(
  Schema.String.annotate({
    description: "Why the history may not have all of this execution, in words. Absent where it has."
  })
)

/** An execution that has ended. */
export const FinishedOutcome = Schema.Struct({
  executionId: ExecutionId,
  status: Schema.Literals(["completed", "failed", "cancelled"]),
  resultJson: Schema.optionalKey(
    Schema.String.annotate({
      description: "The returned value as JSON text, exactly as the sandbox wrote it. Absent when nothing was returned."
    })
  ),
  error: Schema.optionalKey(FailureRecord),
  logs: Schema.Array(LogRecord),
  toolCallCount: Schema.Int,
  durationMs: Schema.Finite,
  historyProblem
}).annotate({ identifier: "FinishedExecution", description: "The execution has ended." })
export type FinishedOutcome = typeof FinishedOutcome.Type

/** An execution that waits for a person. */
export const PausedOutcome = Schema.Struct({
  executionId: ExecutionId,
  status: Schema.Literal("waiting_for_interaction"),
  /** The oldest question: what a resume answers that names none. */
  interaction: PendingInteractionRecord,
  /** All that wait, oldest first. */
  interactions: Schema.Array(PendingInteractionRecord),
  toolCallCount: Schema.Int,
  historyProblem
})
  .pipe(HttpApiSchema.status(202))
  .annotate({
    identifier: "PausedExecution",
    description:
      "The execution waits for a person: answer with POST /executions/{id}/resume. `interaction` is the oldest question, `interactions` all."
  })
export type PausedOutcome = typeof PausedOutcome.Type

/** What starting or resuming an execution comes back with. */
export type ExecutionOutcomeRecord = FinishedOutcome | PausedOutcome
