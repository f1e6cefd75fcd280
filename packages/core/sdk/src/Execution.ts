/**
 * The three records of history: an execution, its tool calls and its interactions.
 *
 * Their fields are the columns of `coreSchema` in camel case. JSON stays text (`argsJson`, `resultJson`, ...), exact to the
 * byte; times are milliseconds since the epoch; `null` means that there is none (yet).
 */
import { Schema } from "effect"
import { ExecutionId, ExecutionInteractionId, ExecutionToolCallId, ScopeId } from "./Ids.ts"
import { ExecutionStatus, InteractionStatus, ToolCallStatus } from "./Status.ts"

const Text = Schema.NullOr(Schema.String)
const Millis = Schema.Int
const NullableMillis = Schema.NullOr(Schema.Int)

const slimFields = {
  id: ExecutionId,
  scopeId: ScopeId,
  status: ExecutionStatus,
  /** Why it failed or was cancelled, for people and models. */
  errorText: Text,
  triggerKind: Text,
  triggerMetaJson: Text,
  toolCallCount: Schema.Int,
  interactionCount: Schema.Int,
  startedAt: NullableMillis,
  completedAt: NullableMillis,
  durationMs: NullableMillis,
  createdAt: Millis,
  updatedAt: Millis,
  /** Seeds the sandbox's randomness, so that the execution can be replayed. */
  seed: Schema.Int,
  /** The process that runs it, and until when nobody else may. */
  owner: Text,
  leaseUntil: NullableMillis,
  /** Grows with each taking of the lease; writes of an older epoch are refused. */
  epoch: Schema.Int,
  /** `false` once a journal write was lost: the execution cannot be replayed. */
  journalComplete: Schema.Boolean,
  parentExecutionId: Schema.NullOr(ExecutionId),
  idempotencyKey: Text
}

/** One submission of code and what came of it. */
export class Execution extends Schema.Class<Execution>("Execution")({
  ...slimFields,
  /** The submitted TypeScript. */
  code: Schema.String,
  /** The returned value. */
  resultJson: Text,
  /** Console output: an array of `{ level, message, at }`. */
  logsJson: Text
}) {}

/** An execution as lists show it: with the beginning of its code, and without result and logs. */
export class ExecutionSummary extends Schema.Class<ExecutionSummary>("ExecutionSummary")({
  ...slimFields,
  /** The first {@link codePreviewLength} characters of the code. */
  codePreview: Schema.String
}) {}

/** So much of the code fits a line of a wide list. */
export const codePreviewLength = 200

/** One call of a tool by an execution. */
export class ExecutionToolCall extends Schema.Class<ExecutionToolCall>("ExecutionToolCall")({
  id: ExecutionToolCallId,
  executionId: ExecutionId,
  scopeId: ScopeId,
  /** The number of the call, from 0, given in the sandbox at the moment it was made. */
  seq: Schema.Int,
  /** The place of its outcome in the order in which outcomes reached the code, from 0; `null` while there is none. */
  settleSeq: Schema.NullOr(Schema.Int),
  status: ToolCallStatus,
  toolPath: Schema.String,
  namespace: Schema.String,
  argsJson: Text,
  resultJson: Text,
  /** The rejection as JSON: `{ name, message, data? }`. */
  errorText: Text,
  /** `executionId:seq`, handed to tools that can use it to do a write once only. */
  idempotencyKey: Schema.String,
  startedAt: Millis,
  completedAt: NullableMillis,
  durationMs: NullableMillis
}) {}

/** What an interaction asks: to approve a call, to fill in a form, or to visit a page. */
export const InteractionKind = Schema.Literals(["approval", "form", "url"])
export type InteractionKind = typeof InteractionKind.Type

/** One question to a human with its answer. */
export class ExecutionInteraction extends Schema.Class<ExecutionInteraction>("ExecutionInteraction")({
  id: ExecutionInteractionId,
  executionId: ExecutionId,
  scopeId: ScopeId,
  /** The tool call that asks. */
  toolCallId: Schema.NullOr(ExecutionToolCallId),
  status: InteractionStatus,
  kind: InteractionKind,
  /** Why it is asked: `tool_approval`, or `tool_input` for a question of the tool itself. */
  purpose: Schema.String,
  /** The question: an {@link ElicitationRequest}. */
  payloadJson: Schema.String,
  /** The answer's action: `{ action }`. */
  responseJson: Text,
  /** What the person typed: `{ content }`. It may be personal, so lists and hosts leave it out. */
  responsePrivateJson: Text,
  /** Who answered: a trigger kind, or a user. */
  resolvedBy: Text,
  createdAt: Millis,
  updatedAt: Millis
}) {}
