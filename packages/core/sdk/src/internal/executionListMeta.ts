/**
 * The counts beside a page of executions. Each is one grouped count in the database, and lets other work in before it
 * starts.
 */
import { Effect } from "effect"
import type { DBAdapter, DBError, Where } from "../DBAdapter.ts"
import type { ListExecutionsOptions, ListMeta, StatusCounts } from "../ExecutionStore.ts"
import { ExecutionStatus } from "../Status.ts"
import { type Filters, isFiltered, triggerName, whereAsked, whereExecution } from "./executionFilters.ts"
import { bucketStarts, bucketWidth } from "./timeline.ts"

/** So many tools fit a list of choices; the rest is found by typing. */
const maxToolFacets = 20

const table = "execution"

const noCounts = (): Record<ExecutionStatus, number> => ({
  pending: 0,
  running: 0,
  waiting_for_interaction: 0,
  completed: 0,
  failed: 0,
  cancelled: 0
})

const isStatus = (value: unknown): value is ExecutionStatus =>
  ExecutionStatus.literals.some((status) => status === value)

/** Counts under the filters. */
export const listMeta = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  filters: Filters,
  options: ListExecutionsOptions
): Effect.fn.Return<ListMeta, DBError> {
  const between = <A>(query: Effect.Effect<A, DBError>) => Effect.andThen(Effect.yieldNow, query)
  const count = (where: Where) => between(adapter.count({ table, where }))

  const statuses = yield* between(
    adapter.countBy({ table, where: whereExecution(filters, "status"), by: [{ column: "status" }] })
  )
  const triggers = yield* between(
    adapter.countBy({ table, where: whereExecution(filters, "trigger"), by: [{ column: "trigger_kind" }] })
  )
  const tools = yield* between(countTools(adapter, filters))
  const anyAsked = whereExecution(filters, "elicitation")
  const timeline = yield* listTimeline(adapter, filters, options, between)
  return {
    totalRowCount: yield* count(whereExecution({ scopeId: filters.scopeId })),
    filterRowCount: yield* count(whereExecution(filters)),
    statusCounts: countsByStatus(statuses.map(({ count, keys }) => [keys[0], count])),
    triggerCounts: Object.fromEntries(
      triggers.map(({ count, keys }) => [triggerName(typeof keys[0] === "string" ? keys[0] : null), count])
    ),
    toolFacets: tools.map(({ count, keys }) => ({ toolPath: String(keys[0]), count })),
    interactionCounts: {
      withElicitation: yield* count({ op: "and", conditions: [anyAsked, whereAsked(true)] }),
      withoutElicitation: yield* count({ op: "and", conditions: [anyAsked, whereAsked(false)] })
    },
    ...timeline
  }
})

const countsByStatus = (groups: ReadonlyArray<readonly [status: unknown, count: number]>): StatusCounts => {
  const counts = noCounts()
  for (const [status, count] of groups) if (isStatus(status)) counts[status] += count
  return counts
}

/** The tools that most executions under the filters called. */
const countTools = (adapter: DBAdapter["Service"], filters: Filters) => {
  const inScope: Where = {
    op: "and",
    conditions: [
      { op: "eq", column: "scope_id", value: filters.scopeId },
      { op: "not", condition: { op: "endsWith", column: "tool", value: ".*" } }
    ]
  }
  const where: Where = isFiltered(filters, "tool")
    ? {
        op: "and",
        conditions: [
          inScope,
          { op: "exists", table, local: "execution_id", foreign: "id", where: whereExecution(filters, "tool") }
        ]
      }
    : inScope
  return adapter.countBy({
    table: "execution_tool",
    where,
    by: [{ column: "tool" }],
    limit: maxToolFacets
  })
}

const listTimeline = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  filters: Filters,
  options: ListExecutionsOptions,
  between: <A>(query: Effect.Effect<A, DBError>) => Effect.Effect<A, DBError>
): Effect.fn.Return<Pick<ListMeta, "chartBucketMs" | "chartData">, DBError> {
  const where = whereExecution(filters)
  const edge = (direction: "asc" | "desc") =>
    Effect.map(
      between(
        adapter.find({ table, where, select: ["created_at"], orderBy: [{ column: "created_at", direction }], limit: 1 })
      ),
      ([row]) => (typeof row?.["created_at"] === "number" ? row["created_at"] : undefined)
    )
  const { from, to } = options.timeRange ?? {}
  const lower = options.after === undefined ? from : Math.max(from ?? Number.MIN_SAFE_INTEGER, options.after + 1)
  const first = lower ?? (yield* edge("asc"))
  const last = to === undefined ? yield* edge("desc") : to - 1
  if (first === undefined || last === undefined || first > last)
    return { chartBucketMs: bucketWidth(0, 0), chartData: [] }

  const width = bucketWidth(first, last)
  const groups = yield* between(
    adapter.countBy({ table, where, by: [{ bucket: { column: "created_at", size: width } }, { column: "status" }] })
  )
  const byBucket = new Map<unknown, Array<readonly [status: unknown, count: number]>>()
  for (const { count, keys } of groups) {
    const [bucket, status] = keys
    const counts = byBucket.get(bucket) ?? []
    counts.push([status, count])
    byBucket.set(bucket, counts)
  }
  return {
    chartBucketMs: width,
    chartData: bucketStarts(first, last, width).map((bucketStart) => ({
      bucketStart,
      counts: countsByStatus(byBucket.get(bucketStart) ?? [])
    }))
  }
})
