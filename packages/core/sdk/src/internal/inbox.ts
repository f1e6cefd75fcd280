/**
 * The inbox: every question of a scope that waits for a person, oldest first, with the execution that asks.
 */
import { Effect } from "effect"
import type { DBAdapter, DBError } from "../DBAdapter.ts"
import { maxListLimit } from "../ExecutionList.ts"
import { type InboxOptions, type InboxPage, ListOptionsInvalid } from "../ExecutionStore.ts"
import type { ScopeId } from "../Ids.ts"
import { decodeInboxCursor, encodeInboxCursor } from "./cursor.ts"
import { eq, summaries } from "./executionRows.ts"
import { readInteraction } from "./records.ts"

export const listInbox = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  scopeId: ScopeId,
  { cursor, limit = maxListLimit }: InboxOptions = {}
): Effect.fn.Return<InboxPage, DBError | ListOptionsInvalid> {
  if (!Number.isInteger(limit) || limit < 1 || limit > maxListLimit) {
    return yield* new ListOptionsInvalid({
      option: "limit",
      message: `limit: expected 1 to ${maxListLimit}, got ${limit}`
    })
  }
  const after = cursor === undefined ? undefined : yield* decodeInboxCursor(cursor)
  const rows = yield* adapter.find({
    table: "execution_interaction",
    where: { op: "and", conditions: [eq("scope_id", scopeId), eq("status", "pending")] },
    orderBy: [
      { column: "created_at", direction: "asc" },
      { column: "id", direction: "asc" }
    ],
    ...(after !== undefined && { after }),
    limit: limit + 1
  })
  const questions = yield* Effect.forEach(rows.slice(0, limit), readInteraction)
  const ids = [...new Set(questions.map(({ executionId }) => executionId))]
  const asking = yield* adapter.find({
    table: "execution",
    where: { op: "and", conditions: [{ op: "in", column: "id", values: ids }, eq("scope_id", scopeId)] }
  })
  const executions = new Map((yield* summaries(adapter, scopeId, asking)).map((each) => [each.id, each]))
  const last = questions.at(-1)
  return {
    interactions: questions.flatMap((interaction) => {
      // One that was removed meanwhile waits no more.
      const execution = executions.get(interaction.executionId)
      return execution === undefined ? [] : [{ interaction, execution }]
    }),
    ...(rows.length > limit && last !== undefined && { nextCursor: encodeInboxCursor(last) })
  }
})
