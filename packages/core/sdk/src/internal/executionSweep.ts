/**
 * Removing old executions. Both bounds are positions in one order, the time of ending: what is to go is the beginning
 * of that order, up to the nearer bound.
 */
import { Effect } from "effect"
import type { DBAdapter, DBError, Row, Where } from "../DBAdapter.ts"
import { ListOptionsInvalid, SweepOptions } from "../ExecutionStore.ts"
import type { ScopeId } from "../Ids.ts"
import { decodeOptions } from "./executionList.ts"
import { hasEnded, hasNotEnded } from "./executionRows.ts"
import { allTime, findGroups, whereRollup } from "./rollups.ts"

/** Executions that one call removes when no limit is given. */
const defaultSweepLimit = 500

/** Executions that one unit of work removes: with all their tool calls, and other writes wait for it. */
const sweepUnit = 25

const table = "execution"
const decodeSweepOptions = decodeOptions(SweepOptions)

/** A fork that has not ended reads the journal of its origin when it goes on. */
const isNotNeeded: Where = {
  op: "not",
  condition: { op: "exists", table, local: "id", foreign: "parent_execution_id", where: hasNotEnded }
}

/** Removes finished executions of the scope. */
export const sweepExecutions = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  scopeId: ScopeId,
  input: SweepOptions
): Effect.fn.Return<{ readonly removed: number }, DBError | ListOptionsInvalid> {
  const { completedBefore, keepNewest, keepSize, limit = defaultSweepLimit } = yield* decodeSweepOptions(input)
  if (completedBefore === undefined && keepNewest === undefined && keepSize === undefined) {
    return yield* new ListOptionsInvalid({
      option: "completedBefore",
      message:
        "completedBefore: expected a time here, or a number of executions in keepNewest, or of characters in keepSize."
    })
  }
  const conditions: ReadonlyArray<Where> = [{ op: "eq", column: "scope_id", value: scopeId }, hasEnded, isNotNeeded]
  const finished =
    keepNewest === undefined && keepSize === undefined ? undefined : yield* countFinished(adapter, scopeId)
  const surplus = finished === undefined || keepNewest === undefined ? limit : finished.count - keepNewest
  const old: Where | undefined =
    completedBefore === undefined ? undefined : { op: "lt", column: "completed_at", value: completedBefore }
  const found = yield* adapter.find({
    table,
    where: { op: "and", conditions: old === undefined ? conditions : [...conditions, old] },
    select: ["id", "code_id", "size"],
    orderBy: [
      { column: "completed_at", direction: "asc" },
      { column: "id", direction: "asc" }
    ],
    limit: Math.max(0, Math.min(limit, surplus))
  })
  const rows = finished === undefined || keepSize === undefined ? found : firstOf(found, finished.size - keepSize)
  let removed = 0
  for (let start = 0; start < rows.length; start += sweepUnit) {
    const unit = rows.slice(start, start + sweepUnit)
    const where: Where = { op: "and", conditions: [...conditions, oneOf(unit, "id")] }
    const [count] = yield* Effect.catchTag(adapter.write([{ op: "delete", table, where }]), "WriteConflict", Effect.die)
    removed += count ?? 0
    yield* removeCode(adapter, unit)
  }
  return { removed }
})

/** The executions that have ended, and the characters that they take. */
const countFinished = Effect.fnUntraced(function* (adapter: DBAdapter["Service"], scopeId: ScopeId) {
  const inScope: Where = { op: "eq", column: "scope_id", value: scopeId }
  const [group] = yield* adapter.keepsRollups
    ? adapter.countBy({
        table: "execution_rollup",
        where: whereRollup(yield* findGroups(adapter, scopeId), allTime),
        by: [],
        sum: ["size", "executions"]
      })
    : adapter.countBy({ table, where: { op: "and", conditions: [inScope, hasEnded] }, by: [], sum: ["size"] })
  const [size = 0, count = group?.count ?? 0] = group?.sums ?? []
  return { count, size }
})

/** So many rows from the first on as take at least this size together. */
const firstOf = (rows: ReadonlyArray<Row>, size: number): ReadonlyArray<Row> => {
  let taken = 0
  const enough = rows.findIndex((row) => {
    const reached = taken >= size
    taken += Number(row["size"])
    return reached
  })
  return enough === -1 ? rows : rows.slice(0, enough)
}

const oneOf = (rows: ReadonlyArray<Row>, column: string): Where => ({
  op: "in",
  column: "id",
  values: rows.map((row) => String(row[column]))
})

/** Removes code that was only of executions that are gone; one that somebody submits again at this moment is kept. */
const removeCode = (adapter: DBAdapter["Service"], rows: ReadonlyArray<Row>): Effect.Effect<void, DBError> => {
  const used: Where = { op: "exists", table, local: "id", foreign: "code_id" }
  const where: Where = { op: "and", conditions: [oneOf(rows, "code_id"), { op: "not", condition: used }] }
  return adapter.write([{ op: "delete", table: "execution_code", where }]).pipe(
    Effect.asVoid,
    Effect.catchTag("WriteConflict", Effect.die),
    Effect.catchIf(
      (error) => error.reason === "foreignKey",
      () => Effect.void
    )
  )
}
