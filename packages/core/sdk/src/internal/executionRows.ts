/**
 * Writing and reading executions: the slim row, its code, and what it returned and logged.
 */
import { Clock, Effect } from "effect"
import type { DBAdapter, DBError, Row, SetValue, Value, Where, WriteOperation } from "../DBAdapter.ts"
import type { Execution, ExecutionSummary } from "../Execution.ts"
import {
  type CreateExecution,
  ExecutionNotFound,
  type ExecutionParts,
  type PayloadTooLarge,
  type UpdateExecution
} from "../ExecutionStore.ts"
import type { LeaseLost } from "../ExecutionLease.ts"
import type { ExecutionId, ScopeId } from "../Ids.ts"
import { ExecutionStatus, isTerminal } from "../Status.ts"
import { durationBin } from "./durations.ts"
import { fence, fencedOr } from "./fence.ts"
import { checkPayloads, codeId, codePreview } from "./payloads.ts"
import { executionColumns, readExecution, readSummary } from "./records.ts"

type Adapter = DBAdapter["Service"]

/** The condition of one row of a scope. */
export const byId = (scopeId: ScopeId, id: string): Where => ({
  op: "and",
  conditions: [eq("id", id), eq("scope_id", scopeId)]
})

/** The condition that a column has a value. */
export const eq = (column: string, value: string): Where => ({ op: "eq", column, value })

/** The statuses of executions that have ended. */
export const terminalStatuses = ExecutionStatus.literals.filter(isTerminal)

/** The condition of executions that have ended. */
export const hasEnded: Where = { op: "in", column: "status", values: terminalStatuses }

/** The condition of executions that have not: the few statuses by name, which an index leads to. */
export const hasNotEnded: Where = {
  op: "in",
  column: "status",
  values: ExecutionStatus.literals.filter((status) => !isTerminal(status))
}

export const executionNotFound = (id: ExecutionId) =>
  new ExecutionNotFound({ message: `There is no execution "${id}".`, executionId: id })

const callsOf = (status?: string): SetValue => ({
  countOf: {
    table: "execution_tool_call",
    local: "id",
    foreign: "execution_id",
    ...(status !== undefined && { where: eq("status", status) })
  }
})

/** The counts and the size of an execution that has ended, taken from its calls and its output. */
export const endCounts: { readonly [column: string]: SetValue } = {
  tool_call_count: callsOf(),
  failed_call_count: callsOf("failed"),
  in_doubt_call_count: callsOf("in_doubt"),
  size: {
    sumOf: [
      { table: "execution_tool_call", local: "id", foreign: "execution_id", column: "args_size" },
      { table: "execution_tool_call", local: "id", foreign: "execution_id", column: "result_size" },
      { table: "execution_output", local: "id", foreign: "execution_id", column: "logs_size" },
      { table: "execution_output", local: "id", foreign: "execution_id", column: "result_size" }
    ]
  }
}

const newExecution: { readonly [column: string]: Value } = {
  trigger_kind: null,
  tool_call_count: 0,
  failed_call_count: 0,
  in_doubt_call_count: 0,
  interaction_count: 0,
  size: 0,
  started_at: null,
  seed: 0,
  owner: null,
  lease_until: null,
  epoch: 0,
  crashes: 0,
  journal_complete: true,
  parent_execution_id: null,
  idempotency_key: null,
  cancel_requested_at: null,
  sandbox_build: null,
  options_json: null,
  trigger_meta_json: null
}

/** The name of the client, where the trigger's meta has one. */
export const clientOf = (metaJson: string | null | undefined): string | null => {
  if (!metaJson?.includes(`"client"`)) return null
  try {
    const name: unknown = JSON.parse(metaJson)?.client?.name
    return typeof name === "string" ? name : null
  } catch {
    return null
  }
}

/** Writes a new execution, and its code where the scope has not stored the same. */
export const createExecutionRow = Effect.fnUntraced(function* (
  adapter: Adapter,
  { code, ...input }: CreateExecution
): Effect.fn.Return<Execution, DBError | PayloadTooLarge> {
  yield* checkPayloads({ code }) ?? Effect.void
  const now = yield* Clock.currentTimeMillis
  const id = codeId(input.scopeId, code)
  const createdAt = input.createdAt ?? now
  const row: Row = {
    ...newExecution,
    ...executionColumns(input),
    trigger_client: clientOf(input.triggerMetaJson),
    code_id: id,
    created_at: createdAt,
    updated_at: createdAt
  }
  const codeRow: Row = { id, scope_id: input.scopeId, preview: codePreview(code), code }
  yield* Effect.catchTag(
    adapter.write([
      { op: "insert", table: "execution_code", rows: [codeRow], onConflict: "ignore" },
      { op: "insert", table: "execution", rows: [row] }
    ]),
    "WriteConflict",
    Effect.die
  )
  return yield* readExecution({ ...row, code: code.toWellFormed() })
})

/** What an execution returned and logged. */
export const outputRow = (
  scopeId: ScopeId,
  id: ExecutionId,
  logsJson: string | null | undefined,
  resultJson: string | null | undefined
): Row => ({
  execution_id: id,
  scope_id: scopeId,
  ...(logsJson !== undefined && { logs_size: logsJson?.length ?? 0, logs_json: logsJson }),
  ...(resultJson !== undefined && { result_size: resultJson?.length ?? 0, result_json: resultJson })
})

/** Changes an execution. When it ends, its calls are counted. */
export const updateExecutionRow = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  id: ExecutionId,
  { logsJson, resultJson, ...changes }: UpdateExecution,
  epoch?: number
): Effect.fn.Return<void, DBError | ExecutionNotFound | PayloadTooLarge | LeaseLost> {
  yield* checkPayloads({ logsJson, resultJson }) ?? Effect.void
  const { durationMs } = changes
  const set = {
    ...executionColumns(changes),
    ...(durationMs !== undefined && { duration_bin: durationMs === null ? null : durationBin(durationMs) }),
    ...(changes.status !== undefined && isTerminal(changes.status) && endCounts),
    updated_at: yield* Clock.currentTimeMillis
  }
  const where: Where = { op: "and", conditions: [byId(scopeId, id), ...fence(epoch)] }
  const operations: Array<WriteOperation> = [{ op: "update", table: "execution", where, set, expect: 1 }]
  if (logsJson !== undefined || resultJson !== undefined) {
    // Before the execution, which adds up what is written.
    operations.unshift({
      op: "insert",
      table: "execution_output",
      rows: [outputRow(scopeId, id, logsJson, resultJson)],
      onConflict: "update",
      given: { table: "execution", where },
      expect: 1
    })
  }
  yield* Effect.catchTag(adapter.write(operations), "WriteConflict", () =>
    fencedOr(adapter, scopeId, id, epoch, () => executionNotFound(id))
  )
})

/** Each question to a server takes its way there and back: those that need nothing of each other are asked together. */
export const atOnce = { concurrency: "unbounded" } as const

/** The counts of calls of executions that have not ended, by execution. */
const liveCounts = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  rows: ReadonlyArray<Row>
): Effect.fn.Return<ReadonlyMap<unknown, number>, DBError> {
  const unfinished = rows.flatMap((row) =>
    terminalStatuses.some((status) => status === row["status"]) ? [] : [String(row["id"])]
  )
  if (unfinished.length === 0) return new Map()
  const groups = yield* adapter.countBy({
    table: "execution_tool_call",
    where: {
      op: "and",
      conditions: [{ op: "in", column: "execution_id", values: unfinished }, eq("scope_id", scopeId)]
    },
    by: [{ column: "execution_id" }]
  })
  return new Map(groups.map(({ count, keys }) => [keys[0], count]))
})

const withLiveCount = (row: Row, counts: ReadonlyMap<unknown, number>): Row => {
  const count = counts.get(row["id"])
  return count === undefined ? row : { ...row, tool_call_count: count }
}

/** Slim rows as lists show them. */
export const summaries = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  rows: ReadonlyArray<Row>
): Effect.fn.Return<ReadonlyArray<ExecutionSummary>, DBError> {
  if (rows.length === 0) return []
  const codeIds = [...new Set(rows.map((row) => String(row["code_id"])))]
  const [counts, codes] = yield* Effect.all(
    [
      liveCounts(adapter, scopeId, rows),
      adapter.find({
        table: "execution_code",
        select: ["id", "preview"],
        where: { op: "in", column: "id", values: codeIds }
      })
    ],
    atOnce
  )
  const previews = new Map(codes.map((code) => [code["id"], code["preview"] ?? ""]))
  return yield* Effect.forEach(rows, (row) =>
    readSummary({ ...withLiveCount(row, counts), code_preview: previews.get(row["code_id"] ?? null) ?? "" })
  )
})

/** The row of an execution. */
export const findRow = Effect.fnUntraced(function* (adapter: Adapter, scopeId: ScopeId, id: ExecutionId) {
  const [row] = yield* adapter.find({ table: "execution", where: byId(scopeId, id), limit: 1 })
  return row ?? (yield* executionNotFound(id))
})

/** Fails unless there is such an execution. */
export const checkExecution = (
  adapter: Adapter,
  scopeId: ScopeId,
  id: ExecutionId
): Effect.Effect<void, DBError | ExecutionNotFound> => Effect.asVoid(findRow(adapter, scopeId, id))

/** The whole of an execution. */
export const getExecution = (
  adapter: Adapter,
  scopeId: ScopeId,
  id: ExecutionId
): Effect.Effect<Execution, DBError | ExecutionNotFound> =>
  Effect.flatMap(findRow(adapter, scopeId, id), (row) => readWhole(adapter, scopeId, row))

/** The whole of the execution that has this row. */
export const readWhole = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  row: Row
): Effect.fn.Return<Execution, DBError | ExecutionNotFound> {
  const [counts, parts] = yield* Effect.all(
    [liveCounts(adapter, scopeId, [row]), findParts(adapter, scopeId, row, ["code", "output"])],
    atOnce
  )
  return yield* readExecution({ ...withLiveCount(row, counts), ...parts })
})

const findParts = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  row: Row,
  tables: ReadonlyArray<"code" | "output">,
  select: ReadonlyArray<string> = ["logs_json", "result_json"]
): Effect.fn.Return<Row, DBError | ExecutionNotFound> {
  const id = String(row["id"]) as ExecutionId
  const ofExecution: Where = { op: "and", conditions: [eq("execution_id", id), eq("scope_id", scopeId)] }
  const findIn = (table: "code" | "output", where: Where, columns: ReadonlyArray<string>) =>
    tables.includes(table)
      ? adapter.find({ table: `execution_${table}`, select: columns, where, limit: 1 })
      : Effect.succeed([])
  const [[code], [output]] = yield* Effect.all(
    [findIn("code", byId(scopeId, String(row["code_id"])), ["code"]), findIn("output", ofExecution, select)],
    atOnce
  )
  // Swept since its row was read.
  if (code === undefined && tables.includes("code")) return yield* executionNotFound(id)
  return { ...code, ...output }
})

const partColumns = { code: "code", result: "result_json", logs: "logs_json" } as const

/** The execution that has this row, with the parts that are asked for. */
export const readParts = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  row: Row,
  names: ReadonlyArray<keyof typeof partColumns>
): Effect.fn.Return<
  { readonly execution: ExecutionSummary; readonly parts: ExecutionParts },
  DBError | ExecutionNotFound
> {
  const select = names.flatMap((name) => (name === "code" ? [] : [partColumns[name]]))
  const tables = [
    ...(names.includes("code") ? ["code" as const] : []),
    ...(select.length > 0 ? ["output" as const] : [])
  ]
  const [[execution], found] = yield* Effect.all(
    [summaries(adapter, scopeId, [row]), findParts(adapter, scopeId, row, tables, select)],
    atOnce
  )
  if (execution === undefined) return yield* executionNotFound(String(row["id"]) as ExecutionId)
  const textOf = (column: string) => (typeof found[column] === "string" ? found[column] : null)
  return {
    execution,
    parts: {
      ...(names.includes("code") && { code: textOf("code") ?? "" }),
      ...(names.includes("result") && { resultJson: textOf("result_json") }),
      ...(names.includes("logs") && { logsJson: textOf("logs_json") })
    }
  }
})
