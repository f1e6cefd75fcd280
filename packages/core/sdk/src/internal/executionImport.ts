/**
 * Writing records of an archive back, in one unit of work: all of them or none.
 *
 * What is there already is left as it is, so an import that was interrupted is run again from its beginning. Calls and
 * questions are added to executions that have ended only: one that goes on here has a journal of its own. An execution's
 * calls may come in several units, so what is known from its calls is counted again with each.
 */
import { Effect } from "effect"
import { type DBAdapter, DBError, type Row, type Where, type WriteOperation } from "../DBAdapter.ts"
import type { ArchivedExecution, ArchivedToolCall, ArchiveRecord, ImportResult } from "../ExecutionArchive.ts"
import type { PayloadTooLarge } from "../ExecutionStore.ts"
import type { ScopeId } from "../Ids.ts"
import { isTerminal } from "../Status.ts"
import { durationBin } from "./durations.ts"
import { clientOf, endCounts, eq, outputRow, terminalStatuses } from "./executionRows.ts"
import { checkPayloads, codeId, codePreview } from "./payloads.ts"
import { executionColumns, interactionColumns, toolCallColumns } from "./records.ts"
import { toolsOf } from "./toolCallRows.ts"

/** What rows beside an execution repeat of it. */
interface Known {
  readonly createdAt: number
  readonly hasEnded: boolean
}

const anyOf = (scopeId: ScopeId, ids: ReadonlyArray<string>): Where => ({
  op: "and",
  conditions: [{ op: "in", column: "id", values: ids }, eq("scope_id", scopeId)]
})

const findKnown = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  scopeId: ScopeId,
  ids: ReadonlyArray<string>
): Effect.fn.Return<Map<string, Known>, DBError> {
  if (ids.length === 0) return new Map()
  const select = ["id", "status", "created_at"]
  const rows = yield* adapter.find({ table: "execution", select, where: anyOf(scopeId, ids) })
  return new Map(
    rows.map((row) => {
      const known: Known = {
        createdAt: Number(row["created_at"]),
        hasEnded: terminalStatuses.some((status) => status === row["status"])
      }
      return [String(row["id"]), known]
    })
  )
})

/** Fails for a record that cannot be written. */
const check = (record: ArchiveRecord): Effect.Effect<void, DBError | PayloadTooLarge> | undefined => {
  switch (record.type) {
    case "execution":
      return isTerminal(record.status)
        ? checkPayloads({ code: record.code, resultJson: record.resultJson, logsJson: record.logsJson })
        : new DBError({
            message: `The execution "${record.id}" has not ended (${record.status}), so only its own database can go on with it.`,
            reason: "other"
          })
    case "toolCall":
      return checkPayloads({ argsJson: record.argsJson, resultJson: record.resultJson, errorText: record.errorText })
    case "interaction":
      return checkPayloads({ payloadJson: record.payloadJson })
  }
}

const insert = (table: string, rows: ReadonlyArray<Row>): ReadonlyArray<WriteOperation> =>
  rows.length === 0 ? [] : [{ op: "insert", table, rows, onConflict: "ignore" }]

const executionOperations = Effect.fnUntraced(function* (
  scopeId: ScopeId,
  executions: ReadonlyArray<ArchivedExecution>
): Effect.fn.Return<ReadonlyArray<WriteOperation>> {
  const codes: Array<Row> = []
  const rows: Array<Row> = []
  const outputs: Array<Row> = []
  for (const { code, logsJson, resultJson, ...execution } of executions) {
    const id = codeId(scopeId, code)
    codes.push({ id, scope_id: scopeId, preview: codePreview(code), code })
    rows.push({
      ...executionColumns(execution),
      scope_id: scopeId,
      code_id: id,
      trigger_client: clientOf(execution.triggerMetaJson),
      duration_bin: execution.durationMs === null ? null : durationBin(execution.durationMs),
      // Until all that belongs to it is written, so that rollups take it in once.
      status: "running",
      tool_call_count: 0,
      failed_call_count: 0,
      in_doubt_call_count: 0,
      size: 0
    })
    if (logsJson !== null || resultJson !== null) outputs.push(outputRow(scopeId, execution.id, logsJson, resultJson))
  }
  return [
    ...insert("execution_code", codes),
    // An id that is there in this scope is not among them, and one of another scope must not be taken for it.
    ...(rows.length === 0 ? [] : [{ op: "insert", table: "execution", rows } as const]),
    ...insert("execution_output", outputs)
  ]
})

/** Gives executions their status, with their counts. */
const endOperations = (scopeId: ScopeId, executions: ReadonlyArray<ArchivedExecution>): ReadonlyArray<WriteOperation> =>
  [...Map.groupBy(executions, ({ status }) => status)].map(([status, ended]) => ({
    op: "update",
    table: "execution",
    where: anyOf(
      scopeId,
      ended.map(({ id }) => id)
    ),
    set: { status, ...endCounts }
  }))

const toolOperations = (
  scopeId: ScopeId,
  calls: ReadonlyArray<ArchivedToolCall>,
  known: ReadonlyMap<string, Known>
): ReadonlyArray<WriteOperation> => {
  const rows = new Map<string, Row>()
  const names = new Set<string>()
  for (const { executionId, toolPath } of calls) {
    const { createdAt } = known.get(executionId) ?? {}
    for (const tool of toolsOf(toolPath)) {
      names.add(tool)
      rows.set(JSON.stringify([executionId, tool]), {
        execution_id: executionId,
        tool,
        scope_id: scopeId,
        created_at: createdAt ?? 0
      })
    }
  }
  return [
    ...insert("execution_tool", [...rows.values()]),
    ...insert(
      "tool_name",
      [...names].map((tool) => ({ scope_id: scopeId, tool }))
    )
  ]
}

const callRow = (scopeId: ScopeId, call: ArchivedToolCall): Row => ({
  ...toolCallColumns(call),
  scope_id: scopeId,
  args_size: call.argsJson?.length ?? 0,
  result_size: (call.resultJson ?? call.errorText ?? "").length
})

/** Writes records to the scope, whatever scope they are of. The executions among them must have ended. */
export const importRecords = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  scopeId: ScopeId,
  records: ReadonlyArray<ArchiveRecord>
): Effect.fn.Return<ImportResult, DBError | PayloadTooLarge> {
  for (const record of records) yield* check(record) ?? Effect.void
  const named = new Set(records.map((record) => (record.type === "execution" ? record.id : record.executionId)))
  const known = yield* findKnown(adapter, scopeId, [...named])

  const executions = records.filter((record) => record.type === "execution")
  const added = executions.filter(({ id }) => !known.has(id))
  const isAdded = new Set<string>(added.map(({ id }) => id))
  for (const { createdAt, id } of added) known.set(id, { createdAt, hasEnded: true })
  const missing = [...named].find((id) => !known.has(id))
  if (missing !== undefined) {
    const message = `There is no execution "${missing}" in the scope "${scopeId}" to add to.`
    return yield* new DBError({ message, reason: "foreignKey" })
  }
  const isOfEnded = ({ executionId }: { readonly executionId: string }) => known.get(executionId)?.hasEnded === true
  const calls = records.filter((record) => record.type === "toolCall").filter(isOfEnded)
  const questions = records.filter((record) => record.type === "interaction").filter(isOfEnded)

  const callRows = calls.map((call) => callRow(scopeId, call))
  const parts = {
    executions: yield* executionOperations(scopeId, added),
    tools: toolOperations(scopeId, calls, known),
    toolCalls: insert("execution_tool_call", callRows),
    interactions: insert(
      "execution_interaction",
      questions.map((question) => ({ ...interactionColumns(question), scope_id: scopeId }))
    ),
    asked: questions.map(({ createdAt, executionId }): WriteOperation => ({
      op: "update",
      table: "execution",
      where: { op: "and", conditions: [anyOf(scopeId, [executionId]), laterAsked(createdAt)] },
      set: { asked_at: createdAt }
    })),
    ends: endOperations(scopeId, added),
    counts: countAgain(
      scopeId,
      calls.map(({ executionId }) => executionId).filter((id) => !isAdded.has(id))
    )
  }
  const operations = Object.values(parts).flat()
  if (operations.length > 0) {
    const written = yield* Effect.catchTag(adapter.write(operations), "WriteConflict", Effect.die)
    const rowsOf = (part: ReadonlyArray<WriteOperation>) =>
      part.reduce((sum, operation) => sum + (written[operations.indexOf(operation)] ?? 0), 0)
    return {
      executions: added.length,
      toolCalls: rowsOf(parts.toolCalls),
      interactions: rowsOf(parts.interactions),
      existing: executions.length - added.length
    }
  }
  return { executions: 0, toolCalls: 0, interactions: 0, existing: executions.length }
})

/** Nobody was asked before: questions may come in any order, and in several units. */
const laterAsked = (createdAt: number): Where => ({
  op: "or",
  conditions: [
    { op: "isNull", column: "asked_at" },
    { op: "gt", column: "asked_at", value: createdAt }
  ]
})

const countAgain = (scopeId: ScopeId, ids: ReadonlyArray<string>): ReadonlyArray<WriteOperation> =>
  ids.length === 0
    ? []
    : [{ op: "update", table: "execution", where: anyOf(scopeId, [...new Set(ids)]), set: endCounts }]
