/**
 * The history outside of a database: what an export holds, and an import reads.
 *
 * An archive is a sequence of records, one for each row: an execution, then its tool calls by `seq`, then its questions in
 * order of asking; then the next execution. Fields and texts are those of `Execution.ts`, so JSON is exact to the byte. What
 * a person typed in answer to a question is not in it.
 *
 * As JSON Lines a record is a line. As a table of comma-separated values (RFC 4180) an execution is a line, without its
 * tool calls, for people who look at it in a spreadsheet.
 */
import { Schema, Struct } from "effect"
import { Execution, ExecutionInteraction, ExecutionToolCall } from "./Execution.ts"
import { ListExecutionsOptions } from "./ExecutionList.ts"

/** An execution of an archive. */
export const ArchivedExecution = Schema.Struct({ type: Schema.Literal("execution"), ...Execution.fields })
export type ArchivedExecution = typeof ArchivedExecution.Type

/** A tool call of the execution before it. */
export const ArchivedToolCall = Schema.Struct({ type: Schema.Literal("toolCall"), ...ExecutionToolCall.fields })
export type ArchivedToolCall = typeof ArchivedToolCall.Type

/** A question of the execution before it. */
export const ArchivedInteraction = Schema.Struct({
  type: Schema.Literal("interaction"),
  ...Struct.omit(ExecutionInteraction.fields, ["responsePrivateJson"])
})
export type ArchivedInteraction = typeof ArchivedInteraction.Type

/** A record of an archive. */
export const ArchiveRecord = Schema.Union([ArchivedExecution, ArchivedToolCall, ArchivedInteraction])
export type ArchiveRecord = typeof ArchiveRecord.Type

/** Which executions go into an archive: the filters of `list`. */
export const ExportOptions = Schema.Struct({
  ...Struct.omit(ListExecutionsOptions.fields, ["limit", "cursor", "sort", "includeMeta"]),
  /** Leaves out tool calls and questions. */
  executionsOnly: Schema.optional(Schema.Boolean)
})
export type ExportOptions = typeof ExportOptions.Type

/** What an import wrote. */
export interface ImportResult {
  readonly executions: number
  readonly toolCalls: number
  readonly interactions: number
  /** Executions that were there already, and were left as they are. */
  readonly existing: number
}

const timeOf = (ms: number | null): string => (ms === null ? "" : new Date(ms).toISOString())

const columns: ReadonlyArray<readonly [name: string, cell: (execution: ArchivedExecution) => string]> = [
  ["id", ({ id }) => id],
  ["status", ({ status }) => status],
  ["trigger", ({ triggerKind }) => triggerKind ?? ""],
  ["triggerMetaJson", ({ triggerMetaJson }) => triggerMetaJson ?? ""],
  ["createdAt", ({ createdAt }) => timeOf(createdAt)],
  ["startedAt", ({ startedAt }) => timeOf(startedAt)],
  ["completedAt", ({ completedAt }) => timeOf(completedAt)],
  ["durationMs", ({ durationMs }) => String(durationMs ?? "")],
  ["toolCallCount", ({ toolCallCount }) => String(toolCallCount)],
  ["interactionCount", ({ interactionCount }) => String(interactionCount)],
  ["parentExecutionId", ({ parentExecutionId }) => parentExecutionId ?? ""],
  ["error", ({ errorText }) => errorText ?? ""],
  ["code", ({ code }) => code],
  ["resultJson", ({ resultJson }) => resultJson ?? ""]
]

/** The names of the columns of a table of comma-separated values, in their order. Times are ISO 8601 in UTC. */
export const csvColumns: ReadonlyArray<string> = columns.map(([name]) => name)

/** The first line of a table of comma-separated values. */
export const csvHeader = `${csvColumns.join(",")}\r\n`

/** So much of a cell is written at a time: a result has up to 10 MB. */
const cellPiece = 64 * 1024

// A spreadsheet takes a cell that begins like this for a formula, and what code returned must not run on somebody's desk.
const formula = /^[=+\-@\t\r\n]/

/** The line of an execution, in small pieces. A cell that a spreadsheet would take for a formula gets a `'` before it. */
export function* csvLine(execution: ArchivedExecution): Generator<string> {
  let separator = ""
  for (const [, cell] of columns) {
    const text = cell(execution)
    yield formula.test(text) ? `${separator}"'` : `${separator}"`
    for (let start = 0; start < text.length; start += cellPiece) {
      yield text.slice(start, start + cellPiece).replaceAll('"', '""')
    }
    yield '"'
    separator = ","
  }
  yield "\r\n"
}
