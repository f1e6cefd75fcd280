/**
 * Writing and reading the questions of executions. The first answer wins without a lock: an answer is written only where
 * the question still waits.
 */
import { Clock, Effect } from "effect"
import { type DBAdapter, DBError, type Row, type Where, type WriteOperation } from "../DBAdapter.ts"
import type { ExecutionInteraction } from "../Execution.ts"
import type { LeaseLost } from "../ExecutionLease.ts"
import {
  InteractionAlreadyResolved,
  InteractionNotFound,
  type RecordInteraction,
  type ResolveInteraction
} from "../ExecutionStore.ts"
import type { ExecutionId, ExecutionInteractionId, ScopeId } from "../Ids.ts"
import { byId, eq } from "./executionRows.ts"
import { fence, fencedOr, fenceOfChild } from "./fence.ts"
import { readInteraction } from "./records.ts"

type Adapter = DBAdapter["Service"]

const table = "execution_interaction"

/** Writes a question, and counts it on its execution: both or neither. */
export const recordInteraction = Effect.fnUntraced(function* (
  adapter: Adapter,
  input: RecordInteraction,
  epoch?: number
): Effect.fn.Return<ExecutionInteraction, DBError | LeaseLost> {
  const now = input.createdAt ?? (yield* Clock.currentTimeMillis)
  const row: Row = {
    id: input.id,
    execution_id: input.executionId,
    scope_id: input.scopeId,
    tool_call_id: input.toolCallId,
    status: "pending",
    kind: input.kind,
    purpose: input.purpose,
    created_at: now,
    updated_at: now,
    payload_json: input.payloadJson
  }
  const ofExecution = byId(input.scopeId, input.executionId)
  const notAsked: Where = { op: "and", conditions: [ofExecution, { op: "isNull", column: "asked_at" }] }
  yield* Effect.catchTag(
    adapter.write([
      {
        op: "update",
        table: "execution",
        where: { op: "and", conditions: [ofExecution, ...fence(epoch)] },
        set: { interaction_count: { increment: 1 }, updated_at: now },
        expect: 1
      },
      { op: "update", table: "execution", where: notAsked, set: { asked_at: now } },
      { op: "insert", table, rows: [row] }
    ]),
    "WriteConflict",
    () =>
      fencedOr(
        adapter,
        input.scopeId,
        input.executionId,
        epoch,
        () =>
          new DBError({
            message: `There is no execution "${input.executionId}" in the scope "${input.scopeId}" to add to.`,
            reason: "foreignKey"
          })
      )
  )
  return yield* readInteraction(row)
})

/** Writes an answer where the question still waits, and fails where it does not. */
export const answer = (
  scopeId: ScopeId,
  id: ExecutionInteractionId,
  resolution: ResolveInteraction,
  now: number,
  epoch?: number
): WriteOperation => ({
  op: "update",
  table,
  where: {
    op: "and",
    conditions: [eq("id", id), eq("scope_id", scopeId), eq("status", "pending"), ...fenceOfChild(epoch)]
  },
  set: {
    status: resolution.status,
    response_json: resolution.responseJson,
    response_private_json: resolution.responsePrivateJson ?? null,
    resolved_by: resolution.resolvedBy,
    updated_at: now
  },
  expect: 1
})

/** Writes an answer where the question still waits. */
export const resolveInteraction = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  id: ExecutionInteractionId,
  resolution: ResolveInteraction,
  epoch?: number
): Effect.fn.Return<void, DBError | InteractionNotFound | InteractionAlreadyResolved | LeaseLost> {
  const now = yield* Clock.currentTimeMillis
  yield* Effect.catchTag(adapter.write([answer(scopeId, id, resolution, now, epoch)]), "WriteConflict", () =>
    Effect.gen(function* () {
      const [row] = yield* adapter.find({ table, select: ["execution_id"], where: byId(scopeId, id), limit: 1 })
      const executionId = String(row?.["execution_id"]) as ExecutionId
      return yield* fencedOr(adapter, scopeId, executionId, epoch, () => notPending(adapter, scopeId, id))
    })
  )
})

/** Why a question could not be answered. */
export const notPending = Effect.fnUntraced(function* (adapter: Adapter, scopeId: ScopeId, id: ExecutionInteractionId) {
  const [row] = yield* adapter.find({ table, where: byId(scopeId, id), limit: 1 })
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

/** The oldest question that waits, for each execution that has one. */
export const pendingInteractions = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  executions: ReadonlyArray<Row>
): Effect.fn.Return<ReadonlyMap<string, ExecutionInteraction>, DBError> {
  const ids = executions.flatMap((row) => (Number(row["interaction_count"]) > 0 ? [String(row["id"])] : []))
  if (ids.length === 0) return new Map()
  const rows = yield* adapter.find({
    table,
    where: {
      op: "and",
      conditions: [{ op: "in", column: "execution_id", values: ids }, eq("status", "pending"), eq("scope_id", scopeId)]
    },
    orderBy: [
      { column: "created_at", direction: "asc" },
      { column: "id", direction: "asc" }
    ]
  })
  const oldest = new Map<string, ExecutionInteraction>()
  for (const row of rows) {
    if (oldest.has(String(row["execution_id"]))) continue
    const interaction = yield* readInteraction(row)
    oldest.set(interaction.executionId, interaction)
  }
  return oldest
})
