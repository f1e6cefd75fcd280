/**
 * The records of history as they go over HTTP: the fields of the SDK's classes, JSON kept as text, exact to the byte.
 *
 * They are plain structures and not the classes, so that whatever a store gives can be sent, and a client needs no class.
 * What a person typed in answer to a question (`responsePrivateJson`) has no field here, so it cannot go out.
 */
import {
  Execution,
  ExecutionId,
  ExecutionInteraction,
  ExecutionInteractionId,
  ExecutionStatus,
  ExecutionSummary,
  ExecutionToolCall,
  ExecutionTrigger,
  ElicitationAction,
  ElicitationRequest,
  ListMeta,
  Source,
  Tool,
  ToolCallStatus,
  ToolSchema
} from "@executor/sdk"
import { Schema, Struct } from "effect"

/** One submission of code and what came of it. */
export const ExecutionRecord = Schema.Struct(Execution.fields)
export type ExecutionRecord = typeof ExecutionRecord.Type

/** One question to a human, without what was typed in answer. */
export const InteractionRecord = Schema.Struct(
  Struct.omit(ExecutionInteraction.fields, ["responsePrivateJson"])
).annotate({
  identifier: "ExecutionInteraction",
  description: "One question to a human, with the action of its answer. What the person typed is never sent."
})
export type InteractionRecord = typeof InteractionRecord.Type

/** One call of a tool by an execution. */
export const ToolCallRecord = Schema.Struct(ExecutionToolCall.fields).annotate({
  identifier: "ExecutionToolCall",
  description: "One call of a tool by an execution, in the order of `seq`."
})
export type ToolCallRecord = typeof ToolCallRecord.Type

/** An execution with the oldest question that waits for an answer. */
export const ExecutionWithInteractionRecord = Schema.Struct({
  execution: ExecutionRecord,
  pendingInteraction: Schema.NullOr(InteractionRecord)
})
export type ExecutionWithInteractionRecord = typeof ExecutionWithInteractionRecord.Type

const { code, logsJson, resultJson, ...slim } = Execution.fields

/** The same with as much of its large parts as was asked for. */
export const ExecutionPartsRecord = Schema.Struct({
  execution: Schema.Struct({
    ...slim,
    code: Schema.optionalKey(code),
    resultJson: Schema.optionalKey(resultJson),
    logsJson: Schema.optionalKey(logsJson)
  }).annotate({
    identifier: "Execution",
    description:
      "One submission of code and what came of it. Times are milliseconds since the epoch; fields ending in Json are JSON text. " +
      "Of code, resultJson and logsJson those are absent that `parts` did not name."
  }),
  pendingInteraction: Schema.NullOr(InteractionRecord)
}).annotate({ identifier: "ExecutionWithInteraction" })
export type ExecutionPartsRecord = typeof ExecutionPartsRecord.Type

/** An execution as lists show it. */
export const ExecutionSummaryRecord = Schema.Struct(ExecutionSummary.fields).annotate({
  identifier: "ExecutionSummary",
  description:
    "An execution as lists show it: with the beginning of its code, and without result and logs, which `GET /executions/:id` has."
})
export type ExecutionSummaryRecord = typeof ExecutionSummaryRecord.Type

/** An execution of a list, with the oldest question that waits for an answer. */
export const ListedExecutionRecord = Schema.Struct({
  execution: ExecutionSummaryRecord,
  pendingInteraction: Schema.NullOr(InteractionRecord)
}).annotate({ identifier: "ListedExecution" })
export type ListedExecutionRecord = typeof ListedExecutionRecord.Type

/** A page of executions. */
export const ExecutionPageRecord = Schema.Struct({
  executions: Schema.Array(ListedExecutionRecord),
  nextCursor: Schema.optionalKey(
    Schema.String.annotate({ description: "Where the next page starts: pass it as `cursor`. Absent on the last page." })
  ),
  meta: Schema.optionalKey(ListMeta.annotate({ identifier: "ListMeta" }))
}).annotate({ identifier: "ExecutionPage" })
export type ExecutionPageRecord = typeof ExecutionPageRecord.Type

/** A tool of the catalog. */
export const ToolRecord = Schema.Struct(Tool.fields).annotate({ identifier: "Tool", description: "A named operation." })
export type ToolRecord = typeof ToolRecord.Type

/** What a caller must know to call a tool. */
export const ToolSchemaRecord = Schema.Struct(ToolSchema.fields).annotate({
  identifier: "ToolSchema",
  description: "What a caller must know to call a tool; `signature` is the call as TypeScript."
})
export type ToolSchemaRecord = typeof ToolSchemaRecord.Type

/** A tool found by a search. */
export const ToolMatchRecord = Schema.Struct({
  tool: ToolRecord,
  score: Schema.Finite.annotate({ description: "Higher is better; only comparable inside one search." })
}).annotate({ identifier: "ToolMatch" })
export type ToolMatchRecord = typeof ToolMatchRecord.Type

/** What provides the tools under one namespace. */
export const SourceRecord = Schema.Struct(Source.fields).annotate({
  identifier: "Source",
  description: "What provides the tools under one namespace."
})
export type SourceRecord = typeof SourceRecord.Type

/** A question that waits for an answer. */
export const PendingInteractionRecord = Schema.Struct({
  id: ExecutionInteractionId,
  request: ElicitationRequest.annotate({ identifier: "ElicitationRequest" }),
  createdAt: Schema.Int
}).annotate({ identifier: "PendingInteraction", description: "A question that waits for an answer." })
export type PendingInteractionRecord = typeof PendingInteractionRecord.Type

/** Something that happened to an execution. `at` is in milliseconds since the epoch. */
export const ExecutionEventRecord = Schema.Union([
  Schema.TaggedStruct("ExecutionStarted", { executionId: ExecutionId, trigger: ExecutionTrigger, at: Schema.Int }),
  Schema.TaggedStruct("ExecutionContinued", { executionId: ExecutionId, at: Schema.Int }),
  Schema.TaggedStruct("ToolCallStarted", {
    executionId: ExecutionId,
    seq: Schema.Int,
    toolPath: Schema.String,
    at: Schema.Int
  }),
  Schema.TaggedStruct("ToolCallFinished", {
    executionId: ExecutionId,
    seq: Schema.Int,
    toolPath: Schema.String,
    status: ToolCallStatus,
    at: Schema.Int
  }),
  Schema.TaggedStruct("InteractionRequested", {
    executionId: ExecutionId,
    interaction: PendingInteractionRecord,
    at: Schema.Int
  }),
  Schema.TaggedStruct("InteractionResolved", {
    executionId: ExecutionId,
    interactionId: ExecutionInteractionId,
    action: ElicitationAction,
    at: Schema.Int
  }),
  Schema.TaggedStruct("ExecutionFinished", { executionId: ExecutionId, status: ExecutionStatus, at: Schema.Int })
]).annotate({ identifier: "ExecutionEvent", description: "Something that happened to an execution." })
export type ExecutionEventRecord = typeof ExecutionEventRecord.Type
