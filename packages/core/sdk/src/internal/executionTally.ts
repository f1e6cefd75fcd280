/**
 * Counting executions under filters, by a few of their properties.
 *
 * Where the adapter keeps rollups and the filters ask for nothing that these do not know, executions that have ended are
 * counted from rollups: whole days and whole hours of the time range, and only what is left at its two ends from the
 * rows. Executions that have not ended are few, and are counted from their rows.
 */
import { Effect } from "effect"
import type { CountByOptions, DBAdapter, DBError, GroupBy, Value, Where } from "../DBAdapter.ts"
import { between, executionsInOrder, type Filters, whereCounted, whereExecution } from "./executionFilters.ts"
import { eq, hasEnded, hasNotEnded } from "./executionRows.ts"
import { allTime, type RollupPart, rollupPeriods, whereRollup } from "./rollups.ts"

type Adapter = DBAdapter["Service"]

/** What executions are counted by: columns that rollups have too, and the time of creation in buckets. */
export type TallyKey =
  | "status"
  | "trigger_kind"
  | "trigger_client"
  | "duration_bin"
  /** Whether a human was asked something. */
  | "asked"
  | { readonly bucketMs: number }

/** Executions with the same keys, with the calls of those that have ended. */
export interface Tally {
  readonly keys: ReadonlyArray<Value>
  readonly count: number
  readonly calls: number
  readonly failedCalls: number
  readonly inDoubtCalls: number
}

/** A part of the time range with where it is counted: in a rollup, or in the rows. */
type Part = RollupPart | (Omit<RollupPart, "period"> & { readonly period: "rows" })

/** The parts of a range, each counted where that is cheapest; `bucketMs` is the width of the buckets that are asked for. */
const partsOf = (
  range: { readonly from?: number | undefined; readonly to?: number | undefined },
  bucketMs: number | undefined
): ReadonlyArray<Part> => {
  const { from, to } = range
  if (from === undefined && to === undefined && bucketMs === undefined) return [allTime]
  const periods = rollupPeriods.filter((period) => period > 0 && (bucketMs === undefined || bucketMs % period === 0))
  return split({ from, to }, periods)
}

const split = (
  { from, to }: { readonly from: number | undefined; readonly to: number | undefined },
  [period, ...shorter]: ReadonlyArray<number>
): ReadonlyArray<Part> => {
  if (from !== undefined && to !== undefined && from >= to) return []
  if (period === undefined) return [{ period: "rows", from, to }]
  const first = from === undefined ? undefined : Math.ceil(from / period) * period
  const last = to === undefined ? undefined : Math.floor(to / period) * period
  if (first !== undefined && last !== undefined && first >= last) return split({ from, to }, shorter)
  return [
    ...(first === from ? [] : split({ from, to: first }, shorter)),
    { period, from: first, to: last },
    ...(last === to ? [] : split({ from: last, to }, shorter))
  ]
}

const groupBy = (keys: ReadonlyArray<TallyKey>, time: string): ReadonlyArray<GroupBy> =>
  keys.map((key) =>
    typeof key === "object"
      ? { bucket: { column: time, size: key.bucketMs } }
      : key === "asked"
        ? { notNull: "asked_at" }
        : { column: key }
  )

/** Counts the executions under the filters by the keys. */
export const tally = Effect.fnUntraced(function* (
  adapter: Adapter,
  filters: Filters,
  keys: ReadonlyArray<TallyKey>
): Effect.fn.Return<ReadonlyArray<Tally>, DBError> {
  const ofTool = filters.toolName !== undefined
  const byDuration = keys.includes("duration_bin")
  const isSimple = filters.code === undefined && filters.query === undefined
  const inRollup = isSimple && (filters.tool === undefined || (ofTool && !byDuration))
  const queries: Array<CountByOptions> = []

  const rows = (...conditions: ReadonlyArray<Where>) =>
    queries.push({
      table: "execution",
      where: { op: "and", conditions: [whereExecution(filters), ...conditions] },
      by: groupBy(keys, "created_at"),
      sum: ["tool_call_count", "failed_call_count", "in_doubt_call_count"]
    })

  if (ofTool && byDuration) queries.push({ ...executionsInOrder(filters), by: groupBy(keys, "created_at") })
  else if (!adapter.keepsRollups || !inRollup) rows()
  else {
    const bucket = keys.find((key) => typeof key === "object")
    rows(hasNotEnded)
    const counted = [
      ...(filters.toolName === undefined ? [] : [eq("tool", filters.toolName)]),
      ...whereCounted(filters)
    ]
    for (const part of partsOf(filters, bucket?.bucketMs)) {
      if (part.period === "rows") rows(hasEnded, ...between("created_at", part))
      else {
        queries.push({
          table: byDuration ? "duration_rollup" : ofTool ? "tool_rollup" : "execution_rollup",
          where: whereRollup(filters.scopeId, part, counted),
          by: groupBy(keys, "start"),
          sum: byDuration ? ["executions"] : ["executions", "calls", "failed_calls", "in_doubt_calls"]
        })
      }
    }
  }

  const totals = new Map<string, Tally>()
  for (const query of queries) {
    const groups = yield* adapter.countBy(query)
    for (const group of groups) {
      const counts = query.table.endsWith("_rollup") ? (group.sums ?? []) : [group.count, ...(group.sums ?? [])]
      const [count = 0, calls = 0, failedCalls = 0, inDoubtCalls = 0] = counts
      const name = JSON.stringify(group.keys)
      const known = totals.get(name)
      totals.set(name, {
        keys: group.keys,
        count: count + (known?.count ?? 0),
        calls: calls + (known?.calls ?? 0),
        failedCalls: failedCalls + (known?.failedCalls ?? 0),
        inDoubtCalls: inDoubtCalls + (known?.inDoubtCalls ?? 0)
      })
    }
  }
  return [...totals.values()].filter(({ count }) => count > 0)
})

/** How many executions under the filters called each tool, by the names of `execution_tool`. */
export const tallyTools = Effect.fnUntraced(function* (
  adapter: Adapter,
  filters: Filters
): Effect.fn.Return<ReadonlyMap<string, number>, DBError> {
  const queries: Array<CountByOptions> = []
  const inScope = eq("scope_id", filters.scopeId)
  const by: ReadonlyArray<GroupBy> = [{ column: "tool" }]

  const rows = Effect.fnUntraced(function* (...conditions: ReadonlyArray<Where>) {
    const where: Where = { op: "and", conditions: [whereExecution(filters), ...conditions] }
    const few = yield* adapter.find({ table: "execution", select: ["id"], where, limit: maxIds + 1 })
    const values = few.map((row) => String(row["id"]))
    const ofFew: Where = { op: "in", column: "execution_id", values }
    const ofMany: Where = { op: "exists", table: "execution", local: "execution_id", foreign: "id", where }
    const condition = values.length <= maxIds ? ofFew : ofMany
    queries.push({ table: "execution_tool", where: { op: "and", conditions: [inScope, condition] }, by })
  })

  const inRollup = filters.code === undefined && filters.query === undefined && filters.tool === undefined
  if (!adapter.keepsRollups || !inRollup) yield* rows()
  else {
    yield* rows(hasNotEnded)
    for (const part of partsOf(filters, undefined)) {
      if (part.period === "rows") yield* rows(hasEnded, ...between("created_at", part))
      else {
        const where = whereRollup(filters.scopeId, part, whereCounted(filters))
        queries.push({ table: "tool_rollup", where, by, sum: ["executions"] })
      }
    }
  }

  const totals = new Map<string, number>()
  for (const query of queries) {
    for (const { count, keys, sums } of yield* adapter.countBy(query)) {
      const tool = String(keys[0])
      totals.set(tool, (sums?.[0] ?? count) + (totals.get(tool) ?? 0))
    }
  }
  return new Map([...totals].filter(([, count]) => count > 0))
})

/** So many executions are named in a condition; more are described by one. */
const maxIds = 5_000
