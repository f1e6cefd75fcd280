/**
 * The ids of the system, as branded strings: a `ToolId` cannot be passed where an `ExecutionId` is wanted.
 *
 * Executions get a time-ordered UUID (version 7, RFC 9562), so that ids sort by creation. `ExecutionId.make(text)` casts a
 * string that came from outside.
 */
import { Schema } from "effect"

/** One execution; also the id a paused execution is resumed by. */
export const ExecutionId = Schema.NonEmptyString.pipe(Schema.brand("ExecutionId"))
export type ExecutionId = typeof ExecutionId.Type

/** One question to a human, asked by an execution. */
export const ExecutionInteractionId = Schema.NonEmptyString.pipe(Schema.brand("ExecutionInteractionId"))
export type ExecutionInteractionId = typeof ExecutionInteractionId.Type

/** One call of a tool by an execution. */
export const ExecutionToolCallId = Schema.NonEmptyString.pipe(Schema.brand("ExecutionToolCallId"))
export type ExecutionToolCallId = typeof ExecutionToolCallId.Type

/** The tenant or workspace that rows belong to. */
export const ScopeId = Schema.NonEmptyString.pipe(Schema.brand("ScopeId"))
export type ScopeId = typeof ScopeId.Type

/** A tool: its dotted path, unique in a scope. */
export const ToolId = Schema.NonEmptyString.pipe(Schema.brand("ToolId"))
export type ToolId = typeof ToolId.Type
