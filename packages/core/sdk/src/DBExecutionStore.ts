/**
 * The `ExecutionStore` over any `DBAdapter`.
 *
 * Each write is one unit of work. What must happen together is written together: a tool call with the count on its
 * execution, an answer only where the question still waits. So a crash leaves nothing half written, and the first
 * answer wins without a lock.
 */
import { Clock, Effect, Layer } from "effect"
import { DBAdapter, DBError, type Value, type Where, type WriteOperation } from "./DBAdapter.ts"
import type { Execution } from "./Execution.ts"
import {
  type CreateExecution,
  ExecutionNotFound,
  ExecutionStore,
  type FinishToolCall,
  type ListToolCallsOptions,
  InteractionAlreadyResolved,
  InteractionNotFound,
  type ListExecutionsOptions,
  type RecordInteraction,
  type RecordToolCall,
  type ResolveInteraction,
  ToolCallNotFound,
  type UpdateExecution
} from "./ExecutionStore.ts"
import type { ExecutionId, ExecutionInteractionId, ExecutionToolCallId, ScopeId } from "./Ids.ts"
import { listExecutions, pendingInteractions } from "./internal/executionList.ts"
import { sweepExecutions } from "./internal/executionSweep.ts"
import { executionColumns, readExecution, readInteraction, readToolCall } from "./internal/records.ts"

type Store = ExecutionStore["Service"]

/** The history in the adapter's tables, which are those of `coreSchema`. */
export const make = (adapter: DBAdapter["Service"]): Store => {
  const findOne = (table: string, where: Where) =>
    Effect.map(adapter.find({ table, where, limit: 1 }), (rows) => rows[0])

  const create = Effect.fnUntraced(function* (input: CreateExecution): Effect.fn.Return<Execution, DBError> {
    const now = yield* Clock.currentTimeMillis
    const createdAt = input.createdAt ?? now
    const row = {
      ...newExecution,
      ...executionColumns(input),
      created_at: createdAt,
      updated_at: createdAt
    }
    yield* Effect.catchTag(
      adapter.write([{ op: "insert", table: "execution", rows: [row] }]),
      "WriteConflict",
      Effect.die
    )
    return yield* readExecution(row)
  })

  const update = Effect.fnUntraced(function* (scopeId: ScopeId, id: ExecutionId, changes: UpdateExecution) {
    const set = { ...executionColumns(changes), updated_at: yield* Clock.currentTimeMillis }
    yield* Effect.catchTag(
      adapter.write([{ op: "update", table: "execution", where: byId(scopeId, id), set, expect: 1 }]),
      "WriteConflict",
      () => executionNotFound(id)
    )
  })

  const find = Effect.fnUntraced(function* (scopeId: ScopeId, id: ExecutionId) {
    const row = yield* findOne("execution", byId(scopeId, id))
    return row === undefined ? yield* executionNotFound(id) : yield* readExecution(row)
  })

  const get = Effect.fnUntraced(function* (scopeId: ScopeId, id: ExecutionId) {
    const execution = yield* find(scopeId, id)
    const pending = yield* pendingInteractions(adapter, scopeId, [execution])
    return { execution, pendingInteraction: pending.get(id) ?? null }
  })

  /** Adds a child to an execution and counts it there, both or neither. */
  const addChild = (
    scopeId: ScopeId,
    executionId: ExecutionId,
    counter: "tool_call_count" | "interaction_count",
    now: number,
    insert: WriteOperation
  ) =>
    Effect.catchTag(
      adapter.write([
        {
          op: "update",
          table: "execution",
          where: byId(scopeId, executionId),
          set: { [counter]: { increment: 1 }, updated_at: now },
          expect: 1
        },
        insert
      ]),
      "WriteConflict",
      () =>
        new DBError({
          message: `There is no execution "${executionId}" in the scope "${scopeId}" to add to.`,
          reason: "foreignKey"
        })
    )

  const recordInteraction = Effect.fnUntraced(function* (input: RecordInteraction) {
    const now = yield* Clock.currentTimeMillis
    const row = {
      id: input.id,
      execution_id: input.executionId,
      scope_id: input.scopeId,
      tool_call_id: input.toolCallId,
      status: "pending",
      kind: input.kind,
      purpose: input.purpose,
      resolved_by: null,
      created_at: now,
      updated_at: now,
      payload_json: input.payloadJson,
      response_json: null,
      response_private_json: null
    }
    const insert: WriteOperation = { op: "insert", table: "execution_interaction", rows: [row] }
    yield* addChild(input.scopeId, input.executionId, "interaction_count", now, insert)
    return yield* readInteraction(row)
  })

  const resolveInteraction = Effect.fnUntraced(function* (
    scopeId: ScopeId,
    id: ExecutionInteractionId,
    resolution: ResolveInteraction
  ) {
    const set = {
      status: resolution.status,
      response_json: resolution.responseJson,
      response_private_json: resolution.responsePrivateJson ?? null,
      resolved_by: resolution.resolvedBy,
      updated_at: yield* Clock.currentTimeMillis
    }
    const waiting: Where = {
      op: "and",
      conditions: [byId(scopeId, id), { op: "eq", column: "status", value: "pending" }]
    }
    yield* Effect.catchTag(
      adapter.write([{ op: "update", table: "execution_interaction", where: waiting, set, expect: 1 }]),
      "WriteConflict",
      () => interactionNotPending(scopeId, id)
    )
  })

  const interactionNotPending = Effect.fnUntraced(function* (scopeId: ScopeId, id: ExecutionInteractionId) {
    const row = yield* findOne("execution_interaction", byId(scopeId, id))
    if (row === undefined) {
      return yield* new InteractionNotFound({ message: `There is no interaction "${id}".`, interactionId: id })
    }
    const { resolvedBy, status } = yield* readInteraction(row)
    const by = resolvedBy === null ? "" : ` by ${resolvedBy}`
    return yield* new InteractionAlreadyResolved({
      message:
        status === "resolved"
          ? `The interaction "${id}" was answered already${by}. The first answer stands.`
          : `The interaction "${id}" was cancelled${by}: nobody waits for its answer any more.`,
      interactionId: id,
      status,
      resolvedBy
    })
  })

  const recordToolCall = Effect.fnUntraced(function* (input: RecordToolCall) {
    const { executionId, scopeId, toolPath } = input
    const dot = toolPath.indexOf(".")
    const row = {
      id: input.id,
      execution_id: executionId,
      scope_id: scopeId,
      seq: input.seq,
      settle_seq: null,
      status: "running",
      tool_path: toolPath,
      namespace: dot === -1 ? toolPath : toolPath.slice(0, dot),
      idempotency_key: `${executionId}:${input.seq}`,
      started_at: input.startedAt,
      args_json: input.argsJson
    }
    const insert: WriteOperation = { op: "insert", table: "execution_tool_call", rows: [row] }
    yield* addChild(scopeId, executionId, "tool_call_count", yield* Clock.currentTimeMillis, insert)
  })

  const finishToolCall = Effect.fnUntraced(function* (
    scopeId: ScopeId,
    id: ExecutionToolCallId,
    outcome: FinishToolCall
  ) {
    const set = {
      status: outcome.status,
      settle_seq: outcome.settleSeq,
      result_json: outcome.resultJson ?? null,
      error_text: outcome.errorText ?? null,
      completed_at: outcome.completedAt,
      duration_ms: outcome.durationMs
    }
    yield* Effect.catchTag(
      adapter.write([{ op: "update", table: "execution_tool_call", where: byId(scopeId, id), set, expect: 1 }]),
      "WriteConflict",
      () => new ToolCallNotFound({ message: `There is no tool call "${id}".`, toolCallId: id })
    )
  })

  /** The children of an execution in their order; an execution that is not there has none, and is an error. */
  const findChildren = Effect.fnUntraced(function* (
    table: "execution_interaction" | "execution_tool_call",
    order: ReadonlyArray<string>,
    scopeId: ScopeId,
    executionId: ExecutionId,
    { after, limit }: ListToolCallsOptions = {}
  ) {
    const ofExecution = [equals("execution_id", executionId), equals("scope_id", scopeId)]
    const later: ReadonlyArray<Where> = after === undefined ? [] : [{ op: "gt", column: "seq", value: after }]
    const rows = yield* adapter.find({
      table,
      where: { op: "and", conditions: [...ofExecution, ...later] },
      orderBy: order.map((column) => ({ column, direction: "asc" })),
      ...(limit === undefined ? {} : { limit })
    })
    if (rows.length === 0) yield* find(scopeId, executionId)
    return rows
  })

  const listInteractions: Store["listInteractions"] = (scopeId, executionId) =>
    Effect.flatMap(findChildren("execution_interaction", ["created_at", "id"], scopeId, executionId), (rows) =>
      Effect.forEach(rows, readInteraction)
    )

  const listToolCalls: Store["listToolCalls"] = (scopeId, executionId, options) =>
    Effect.flatMap(findChildren("execution_tool_call", ["seq"], scopeId, executionId, options), (rows) =>
      Effect.forEach(rows, readToolCall)
    )

  return ExecutionStore.of({
    create,
    update,
    get,
    list: (scopeId, options: ListExecutionsOptions = {}) => listExecutions(adapter, scopeId, options),
    recordInteraction,
    resolveInteraction,
    listInteractions,
    recordToolCall,
    finishToolCall,
    listToolCalls,
    sweep: (scopeId, options) => sweepExecutions(adapter, scopeId, options)
  })
}

/** The history in the tables of the adapter. */
export const layer: Layer.Layer<ExecutionStore, never, DBAdapter> = Layer.effect(
  ExecutionStore,
  Effect.map(DBAdapter, make)
)

const newExecution: { readonly [column: string]: Value } = {
  trigger_kind: null,
  tool_call_count: 0,
  interaction_count: 0,
  started_at: null,
  completed_at: null,
  duration_ms: null,
  seed: 0,
  owner: null,
  lease_until: null,
  epoch: 0,
  journal_complete: true,
  parent_execution_id: null,
  idempotency_key: null,
  trigger_meta_json: null,
  error_text: null,
  logs_json: null,
  result_json: null
}

const equals = (column: string, value: string): Where => ({ op: "eq", column, value })

const byId = (scopeId: ScopeId, id: string): Where => ({
  op: "and",
  conditions: [equals("id", id), equals("scope_id", scopeId)]
})

const executionNotFound = (id: ExecutionId) =>
  new ExecutionNotFound({ message: `There is no execution "${id}".`, executionId: id })
