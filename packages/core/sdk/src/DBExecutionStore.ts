/**
 * The `ExecutionStore` over any `DBAdapter`.
 *
 * Each write is one unit of work, so a crash leaves nothing half written, and what must only happen where something else
 * is still true (the execution runs, the question waits) carries that as its condition.
 *
 * An execution is spread over three rows: the slim one that lists read, its code, which executions of a scope share, and
 * what it returned and logged. Its calls are counted from their own rows while it runs, and on its row once it has ended.
 */
import { Effect, Layer } from "effect"
import { DBAdapter, type DBError, type Row, type Where } from "./DBAdapter.ts"
import { type ListExecutionsOptions } from "./ExecutionList.ts"
import { type ExecutionNotFound, ExecutionStore, type ListToolCallsOptions } from "./ExecutionStore.ts"
import type { ExecutionId, ScopeId } from "./Ids.ts"
import { exportExecutions } from "./internal/executionExport.ts"
import { importRecords } from "./internal/executionImport.ts"
import { listExecutions } from "./internal/executionList.ts"
import {
  atOnce,
  checkExecution,
  createExecutionRow,
  eq,
  findRow,
  readParts,
  readWhole,
  updateExecutionRow
} from "./internal/executionRows.ts"
import { sweepExecutions } from "./internal/executionSweep.ts"
import { listInbox } from "./internal/inbox.ts"
import { pendingInteractions, recordInteraction, resolveInteraction } from "./internal/interactionRows.ts"
import * as Leases from "./internal/leaseRows.ts"
import { readInteraction, readToolCall } from "./internal/records.ts"
import { makeToolCalls } from "./internal/toolCallRows.ts"

type Store = ExecutionStore["Service"]

/** The history in the adapter's tables, which are those of `coreSchema`. */
export const make = (adapter: DBAdapter["Service"]): Store => {
  const toolCalls = makeToolCalls(adapter)

  const withPending = Effect.fnUntraced(function* <A>(
    scopeId: ScopeId,
    id: ExecutionId,
    read: (row: Row) => Effect.Effect<A, DBError | ExecutionNotFound>
  ) {
    const row = yield* findRow(adapter, scopeId, id)
    const [found, pending] = yield* Effect.all([read(row), pendingInteractions(adapter, scopeId, [row])], atOnce)
    return { found, pendingInteraction: pending.get(id) ?? null }
  })

  /** The children of an execution in their order; an execution that is not there has none, and is an error. */
  const findChildren = Effect.fnUntraced(function* (
    table: "execution_interaction" | "execution_tool_call",
    order: ReadonlyArray<string>,
    scopeId: ScopeId,
    executionId: ExecutionId,
    { after, limit }: ListToolCallsOptions = {}
  ) {
    const ofExecution = [eq("execution_id", executionId), eq("scope_id", scopeId)]
    const later: ReadonlyArray<Where> = after === undefined ? [] : [{ op: "gt", column: "seq", value: after }]
    const rows = yield* adapter.find({
      table,
      where: { op: "and", conditions: [...ofExecution, ...later] },
      orderBy: order.map((column) => ({ column, direction: "asc" })),
      ...(limit === undefined ? {} : { limit })
    })
    if (rows.length === 0) yield* checkExecution(adapter, scopeId, executionId)
    return rows
  })

  return ExecutionStore.of({
    create: (input) =>
      Effect.tap(createExecutionRow(adapter, input), ({ createdAt, id }) =>
        Effect.sync(() => toolCalls.known(id, createdAt))
      ),
    update: (scopeId, id, changes, epoch) => updateExecutionRow(adapter, scopeId, id, changes, epoch),
    get: (scopeId, id) =>
      Effect.map(
        withPending(scopeId, id, (row) => readWhole(adapter, scopeId, row)),
        ({ found: execution, pendingInteraction }) => ({ execution, pendingInteraction })
      ),
    getParts: (scopeId, id, names) =>
      Effect.map(
        withPending(scopeId, id, (row) => readParts(adapter, scopeId, row, names)),
        ({ found, pendingInteraction }) => ({ ...found, pendingInteraction })
      ),
    list: (scopeId, options: ListExecutionsOptions = {}) => listExecutions(adapter, scopeId, options),
    recordInteraction: (input, epoch) => recordInteraction(adapter, input, epoch),
    resolveInteraction: (scopeId, id, resolution, epoch) => resolveInteraction(adapter, scopeId, id, resolution, epoch),
    inbox: (scopeId, options) => listInbox(adapter, scopeId, options),
    listInteractions: (scopeId, executionId) =>
      Effect.flatMap(findChildren("execution_interaction", ["created_at", "id"], scopeId, executionId), (rows) =>
        Effect.forEach(rows, readInteraction)
      ),
    recordToolCall: toolCalls.recordToolCall,
    finishToolCall: toolCalls.finishToolCall,
    updateToolCall: (scopeId, executionId, seq, progress, epoch) =>
      Leases.updateToolCall(adapter, scopeId, executionId, seq, progress, epoch),
    claim: (scopeId, id, claim) => Leases.claimExecution(adapter, scopeId, id, claim),
    answerHeld: (scopeId, id, answer, at) => Leases.answerHeld(adapter, scopeId, id, answer, at),
    answeredWrites: adapter.answeredWrites,
    renewLeases: (scopeId, owner, ids, until, survived) =>
      Leases.renewLeases(adapter, scopeId, owner, ids, until, survived),
    heldExecutions: (scopeId, ids) => Leases.heldExecutions(adapter, scopeId, ids),
    release: (scopeId, id, epoch, status) => Leases.releaseExecution(adapter, scopeId, id, epoch, status),
    requestCancel: (scopeId, id, at) => Leases.requestCancel(adapter, scopeId, id, at),
    listAbandoned: (scopeId, options) => Leases.listAbandoned(adapter, scopeId, options),
    freed: adapter.freed,
    listExpired: (scopeId, options) => Leases.listExpired(adapter, scopeId, options),
    findByIdempotencyKey: (scopeId, key) => Leases.findByIdempotencyKey(adapter, scopeId, key),
    readJournal: (scopeId, id) =>
      Effect.tap(Leases.readJournal(adapter, scopeId, id), ({ execution }) =>
        Effect.sync(() => toolCalls.known(id, execution.createdAt))
      ),
    listToolCalls: (scopeId, executionId, options) =>
      Effect.flatMap(findChildren("execution_tool_call", ["seq"], scopeId, executionId, options), (rows) =>
        Effect.forEach(rows, readToolCall)
      ),
    sweep: (scopeId, options) => sweepExecutions(adapter, scopeId, options),
    exportRecords: (scopeId, options = {}) => exportExecutions(adapter, scopeId, options),
    importRecords: (scopeId, records) => importRecords(adapter, scopeId, records)
  })
}

/** The history in the tables of the adapter. */
export const layer: Layer.Layer<ExecutionStore, never, DBAdapter> = Layer.effect(
  ExecutionStore,
  Effect.map(DBAdapter, make)
)
