/**
 * Rows to records and back: the same fields, in snake case there and in camel case here.
 */
import { Effect, Schema } from "effect"
import { coreSchema } from "../CoreSchema.ts"
import { DBError, type Row, type Value } from "../DBAdapter.ts"
import { Execution, ExecutionInteraction, ExecutionSummary, ExecutionToolCall } from "../Execution.ts"

const camelCase = (column: string): string => column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

const fieldsOf = (columns: object): ReadonlyArray<readonly [column: string, field: string]> =>
  Object.keys(columns).map((column) => [column, camelCase(column)])

const writer = (columns: { readonly [column: string]: object }) => {
  const written = Object.fromEntries(Object.entries(columns).filter(([, column]) => !("generated" in column)))
  const columnByField = new Map(fieldsOf(written).map(([column, field]) => [field, column]))
  return (fields: { readonly [field: string]: Value | undefined }): Record<string, Value> => {
    const row: Record<string, Value> = {}
    for (const field in fields) {
      const column = columnByField.get(field)
      const value = fields[field]
      if (column !== undefined && value !== undefined) row[column] = value
    }
    return row
  }
}

/** The columns to set for an execution, or for changes to one. */
export const executionColumns = writer(coreSchema.execution.columns)
export const interactionColumns = writer(coreSchema.execution_interaction.columns)
const callColumns = writer(coreSchema.execution_tool_call.columns)

/** The columns of a tool call. Its id is written only where it is not the one that the database makes. */
export const toolCallColumns = (
  call: { readonly id: string; readonly executionId: string; readonly seq: number } & {
    readonly [field: string]: Value | undefined
  }
): Record<string, Value> => ({
  ...callColumns(call),
  custom_id: call.id === `${call.executionId}:${call.seq}` ? null : call.id
})

const reader = <S extends Schema.Top & { readonly DecodingServices: never; readonly fields: object }>(
  schema: S,
  table: string,
  columns: object
) => {
  const fields = fieldsOf(columns).filter(([, field]) => field in schema.fields)
  const decode = Schema.decodeUnknownEffect(schema)
  return (row: Row): Effect.Effect<S["Type"], DBError> => {
    const record: Record<string, Value> = {}
    for (const [column, field] of fields) record[field] = row[column] ?? null
    return Effect.mapError(
      decode(record),
      (cause) =>
        new DBError({ message: `The row "${row["id"]}" of "${table}" is not a valid record.`, reason: "other", cause })
    )
  }
}

/** A slim row with its code and output. */
export const readExecution = reader(Execution, "execution", {
  ...coreSchema.execution.columns,
  ...coreSchema.execution_code.columns,
  ...coreSchema.execution_output.columns
})

/** A slim row with the `code_preview`. */
export const readSummary = reader(ExecutionSummary, "execution", {
  ...coreSchema.execution.columns,
  code_preview: {}
})

export const readInteraction = reader(
  ExecutionInteraction,
  "execution_interaction",
  coreSchema.execution_interaction.columns
)

export const readToolCall = reader(ExecutionToolCall, "execution_tool_call", coreSchema.execution_tool_call.columns)
