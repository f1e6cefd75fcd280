/**
 * Writing tool calls. Both writes are on the path of every call of every execution, so each is one statement on one row
 * as long as the execution runs; its counts are taken from the calls when it ends. A call that is written later
 * (recovery, a late outcome) takes the longer way, and brings the counts up to date.
 */
import { Effect } from "effect"
import { type DBAdapter, DBError, type Row, type Where, type WriteConflict, type WriteOperation } from "../DBAdapter.ts"
import { type FinishToolCall, type PayloadTooLarge, type RecordToolCall, ToolCallNotFound } from "../ExecutionStore.ts"
import type { LeaseLost } from "../ExecutionLease.ts"
import type { ExecutionId, ExecutionToolCallId, ScopeId } from "../Ids.ts"
import { byId, endCounts, eq, hasNotEnded } from "./executionRows.ts"
import { fence, fencedOr } from "./fence.ts"
import { checkPayloads } from "./payloads.ts"
import { toolCallColumns } from "./records.ts"

type Adapter = DBAdapter["Service"]

const table = "execution_tool_call"

/** So many executions run at once in one process, or hardly more; for others a write is repeated to no effect. */
const maxRemembered = 1_000

const recount = (where: Where, expect?: number): WriteOperation => ({
  op: "update",
  table: "execution",
  where,
  set: endCounts,
  ...(expect !== undefined && { expect })
})

const namespaceOf = (toolPath: string): string => {
  const dot = toolPath.indexOf(".")
  return dot === -1 ? toolPath : toolPath.slice(0, dot)
}

/** The tools that an execution is found by once it has called this one. */
export const toolsOf = (toolPath: string): ReadonlyArray<string> =>
  toolPath.includes(".") ? [toolPath, `${namespaceOf(toolPath)}.*`] : [toolPath]

/** Makes `recordToolCall` and `finishToolCall`. */
export const makeToolCalls = (adapter: Adapter) => {
  /** The tools that are known to be written, by execution, so that they are not written with each call. */
  const remembered = new Map<ExecutionId, Remembered>()

  const remember = (id: ExecutionId, createdAt: number) => {
    const entry = { createdAt, tools: new Set<string>() }
    remembered.set(id, entry)
    if (remembered.size > maxRemembered) {
      const [oldest] = remembered.keys()
      if (oldest !== undefined) remembered.delete(oldest)
    }
    return entry
  }

  const look = Effect.fnUntraced(function* (scopeId: ScopeId, id: ExecutionId) {
    const select = ["created_at"]
    const [row] = yield* adapter.find({ table: "execution", select, where: byId(scopeId, id), limit: 1 })
    return row === undefined ? yield* noExecution(scopeId, id) : remember(id, Number(row["created_at"]))
  })

  /** Writes which tools an execution has called, where that is not known to be written. */
  const recordTools = Effect.fnUntraced(function* (
    { executionId, scopeId, toolPath }: RecordToolCall,
    operations: ReadonlyArray<WriteOperation>
  ): Effect.fn.Return<void, DBError | WriteConflict> {
    const entry = remembered.get(executionId) ?? (yield* look(scopeId, executionId))
    if (entry.tools.has(toolPath)) {
      yield* adapter.write(operations)
      return
    }
    const tools = toolsOf(toolPath)
    yield* adapter.write([
      ...operations,
      {
        op: "insert",
        table: "execution_tool",
        rows: tools.map((tool) => ({
          execution_id: executionId,
          tool,
          scope_id: scopeId,
          created_at: entry.createdAt
        })),
        onConflict: "ignore"
      },
      {
        op: "insert",
        table: "tool_name",
        rows: tools.map((tool) => ({ scope_id: scopeId, tool })),
        onConflict: "ignore"
      }
    ])
    entry.tools.add(toolPath)
  })

  const recordToolCall = (
    input: RecordToolCall,
    epoch?: number
  ): Effect.Effect<void, DBError | PayloadTooLarge | LeaseLost> => {
    const { argsJson, executionId, scopeId, seq, toolPath } = input
    const tooLarge = checkPayloads({ argsJson })
    if (tooLarge !== undefined) return tooLarge
    const row: Row = {
      ...toolCallColumns({ id: input.id, executionId, scopeId, seq, toolPath, argsJson, startedAt: input.startedAt }),
      status: "running",
      namespace: namespaceOf(toolPath),
      args_size: argsJson?.length ?? 0,
      result_size: 0
    }
    const insert = { op: "insert", table, rows: [row], expect: 1 } as const
    const ofExecution: Where = { op: "and", conditions: [byId(scopeId, executionId), ...fence(epoch)] }
    const given = { table: "execution", where: { op: "and", conditions: [ofExecution, hasNotEnded] } } as const
    return Effect.catchTag(recordTools(input, [{ ...insert, given }]), "WriteConflict", () =>
      Effect.catchTag(
        recordTools(input, [{ ...insert, given: { table: "execution", where: ofExecution } }, recount(ofExecution, 1)]),
        "WriteConflict",
        () => fencedOr(adapter, scopeId, executionId, epoch, () => noExecution(scopeId, executionId))
      )
    )
  }

  const finishToolCall = (
    scopeId: ScopeId,
    id: ExecutionToolCallId,
    outcome: FinishToolCall,
    epoch?: number
  ): Effect.Effect<void, DBError | ToolCallNotFound | PayloadTooLarge | LeaseLost> => {
    const { errorText, resultJson } = outcome
    const tooLarge = checkPayloads({ errorText, resultJson })
    if (tooLarge !== undefined) return tooLarge
    const set = {
      status: outcome.status,
      settle_seq: outcome.settleSeq,
      result_size: (resultJson ?? errorText ?? "").length,
      result_json: resultJson ?? null,
      error_text: errorText ?? null,
      completed_at: outcome.completedAt,
      duration_ms: outcome.durationMs
    }
    const ofExecution = (...conditions: ReadonlyArray<Where>): Where => ({
      op: "exists",
      table: "execution",
      local: "execution_id",
      foreign: "id",
      where: { op: "and", conditions: [...conditions, ...fence(epoch)] }
    })
    const finish = ([place, ...others]: ReadonlyArray<Where>): Effect.Effect<
      void,
      DBError | ToolCallNotFound | LeaseLost
    > => {
      if (place === undefined) {
        const notFound = () => new ToolCallNotFound({ message: `There is no tool call "${id}".`, toolCallId: id })
        return fencedOr(adapter, scopeId, executionOf(id), epoch, notFound)
      }
      const whileRunning: Where = { op: "and", conditions: [place, ofExecution(hasNotEnded)] }
      const where: Where = epoch === undefined ? place : { op: "and", conditions: [place, ofExecution()] }
      const ofCall: Where = { op: "exists", table, local: "id", foreign: "execution_id", where: place }
      const late: ReadonlyArray<WriteOperation> = [{ op: "update", table, where, set, expect: 1 }, recount(ofCall)]
      return adapter.write([{ op: "update", table, where: whileRunning, set, expect: 1 }]).pipe(
        Effect.catchTag("WriteConflict", () => adapter.write(late)),
        Effect.asVoid,
        Effect.catchTag("WriteConflict", () => finish(others))
      )
    }
    return finish(callsNamed(scopeId, id))
  }

  return {
    recordToolCall,
    finishToolCall,
    /** Tells of an execution, so that it need not be looked up. Lookups for calls at once may come back in another order. */
    known: (id: ExecutionId, createdAt: number): void => {
      if (!remembered.has(id)) remember(id, createdAt)
    }
  }
}

/** The places where a call of this id may be: where ids are made of execution and number, and where they are given. */
const callsNamed = (scopeId: ScopeId, id: ExecutionToolCallId): ReadonlyArray<Where> => {
  const inScope = eq("scope_id", scopeId)
  const given: Where = { op: "and", conditions: [eq("custom_id", id), inScope] }
  const [, executionId = "", seq] = /^(.*):(0|[1-9]\d{0,14})$/s.exec(id) ?? []
  if (seq === undefined) return [given]
  const made: ReadonlyArray<Where> = [
    eq("execution_id", executionId),
    { op: "eq", column: "seq", value: Number(seq) },
    { op: "isNull", column: "custom_id" },
    inScope
  ]
  return [{ op: "and", conditions: made }, given]
}

/** The execution that a made id names. */
const executionOf = (id: ExecutionToolCallId): ExecutionId => id.slice(0, id.lastIndexOf(":")) as ExecutionId

interface Remembered {
  readonly createdAt: number
  readonly tools: Set<string>
}

const noExecution = (scopeId: ScopeId, id: ExecutionId) =>
  new DBError({ message: `There is no execution "${id}" in the scope "${scopeId}" to add to.`, reason: "foreignKey" })
