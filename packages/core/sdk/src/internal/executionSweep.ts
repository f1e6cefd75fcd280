/**
 * Removing old executions. Both bounds are positions in one order, the time of ending: what is to go is the beginning
 * of that order, up to the nearer bound.
 */
import { Effect } from "effect"
import type { DBAdapter, DBError, Row, Where } from "../DBAdapter.ts"
import { ListOptionsInvalid, SweepOptions } from "../ExecutionStore.ts"
import type { ScopeId } from "../Ids.ts"
import { decodeOptions } from "./executionList.ts"
import { hasEnded } from "./executionRows.ts"
import { allTime, findGroups, whereRollup } from "./rollups.ts"

/** Executions that one call removes when no limit is given. */
const defaultSweepLimit = 500

/** Executions that one unit of work removes: with all their tool calls, and other writes wait for it. */
const sweepUnit = 25

const table = "execution"
const decodeSweepOptions = decodeOptions(SweepOptions)

/**
 * Whether forks came from it. A fork, and one of it, reads the journal of its origin when it goes on: an origin goes after them. Other
 * executions only name a parent, which they need not have.
 */
const hasForks = (scopeId: ScopeId): Where => ({
  op: "exists",
  table,
  local: "id",
  foreign: "parent_execution_id",
  where: {
    op: "and",
    conditions: [
      { op: "eq", column: "scope_id", value: scopeId },
      { op: "contains", column: "options_json", value: '"fork":true' }
    ]
  }
})

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
  const ended: ReadonlyArray<Where> = [{ op: "eq", column: "scope_id", value: scopeId }, hasEnded]
  const finished =
    keepNewest === undefined && keepSize === undefined ? undefined : yield* countFinished(adapter, scopeId)
  const old: ReadonlyArray<Where> =
    completedBefore === undefined ? [] : [{ op: "lt", column: "completed_at", value: completedBefore }]
  const rows = yield* oldest(
    adapter,
    scopeId,
    { op: "and", conditions: [...ended, ...old] },
    {
      limit,
      count: finished === undefined || keepNewest === undefined ? Infinity : finished.count - keepNewest,
      size: finished === undefined || keepSize === undefined ? Infinity : finished.size - keepSize
    }
  )
  let removed = 0
  for (let start = 0; start < rows.length; start += sweepUnit) {
    const unit = rows.slice(start, start + sweepUnit)
    const isNotNeeded: Where = { op: "not", condition: hasForks(scopeId) }
    const where: Where = { op: "and", conditions: [...ended, isNotNeeded, oneOf(unit, "id")] }
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

interface Bounds {
  /** So many are removed at most. */
  readonly limit: number
  /** So many of the oldest, and as many as take this size together, are beyond the bounds: those that are needed count, but stay. */
  readonly count: number
  readonly size: number
}

/** The rows to remove, those that ended first before others. */
const oldest = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  scopeId: ScopeId,
  where: Where,
  { count, limit, size }: Bounds
): Effect.fn.Return<ReadonlyArray<Row>, DBError> {
  const found: Array<Row> = []
  let seen = 0
  let taken = 0
  let last: Row | undefined
  while (found.length < limit && seen < count && taken < size) {
    const wanted = Math.min(limit, defaultSweepLimit, count - seen)
    const page = yield* adapter.find({
      table,
      where,
      select: ["id", "code_id", "size", "completed_at"],
      orderBy: [
        { column: "completed_at", direction: "asc" },
        { column: "id", direction: "asc" }
      ],
      limit: wanted,
      ...(last !== undefined && { after: [last["completed_at"] ?? null, last["id"] ?? null] })
    })
    const needed = yield* origins(adapter, scopeId, page)
    for (const row of page) {
      if (found.length >= limit || taken >= size) return found
      seen++
      taken += Number(row["size"])
      if (!needed.has(row["id"])) found.push(row)
    }
    if (page.length < wanted) return found
    last = page.at(-1)
  }
  return found
})

/** Those of the rows that forks came from. */
const origins = (adapter: DBAdapter["Service"], scopeId: ScopeId, rows: ReadonlyArray<Row>) =>
  Effect.map(
    adapter.find({
      table,
      where: { op: "and", conditions: [oneOf(rows, "id"), hasForks(scopeId)] },
      select: ["id"]
    }),
    (found) => new Set(found.map((row) => row["id"]))
  )

/** Rows whose id is one of the values of the others in `of`. */
const oneOf = (rows: ReadonlyArray<Row>, of: string): Where => ({
  op: "in",
  column: "id",
  values: rows.map((row) => String(row[of]))
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
