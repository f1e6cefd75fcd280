/**
 * The rows of a page, found along the index that leads to them.
 *
 * In the order of creation, executions are read along the index of a filter: by status, trigger, question or tool. Where the filter
 * has several values, each has a range of its own, in order, and the ranges are merged here: no more than a page of
 * each is read, however many executions there are. Of several such filters the one with the fewest executions leads,
 * and the others are checked row by row. In the order of duration, and without such a filter, one range has everything.
 *
 * A text is looked for in the first executions of the list before an index of text is asked: where it is frequent, a page is full
 * sooner than the index has found all that have it.
 */
import { Effect } from "effect"
import type { DBAdapter, DBError, FindOptions, Row, Value, Where } from "../DBAdapter.ts"
import type { ExecutionSort } from "../ExecutionList.ts"
import type { ScopeId } from "../Ids.ts"
import type { Position } from "./cursor.ts"
import { compareText } from "./memoryWhere.ts"
import { executionsOfTool, type Filters, whereExecution } from "./executionFilters.ts"
import { eq } from "./executionRows.ts"
import { allTime, findGroups, ofGroups, type RollupGroup, whereRollup } from "./rollups.ts"

type Adapter = DBAdapter["Service"]

/** What a page is read along: ranges of an index, each in the order of creation. */
interface Lead {
  readonly idColumn: "id" | "execution_id"
  readonly ranges: ReadonlyArray<Pick<FindOptions, "table" | "where">>
  /** How many executions that have ended are in the ranges, by the groups of the rollups. */
  readonly size: (groups: ReadonlyArray<RollupGroup>) => Effect.Effect<number, DBError>
}

/** A filter with more values than this is checked row by row: it selects much. */
const maxRanges = 16

const sortColumns = { createdAt: "created_at", durationMs: "duration_ms" } as const

const sumOf = (adapter: Adapter, table: string, where: Where): Effect.Effect<number, DBError> =>
  Effect.map(adapter.countBy({ table, where, by: [], sum: ["executions"] }), ([group]) => group?.sums?.[0] ?? 0)

const sizesOf = Effect.fnUntraced(function* (
  adapter: Adapter,
  scopeId: ScopeId,
  leads: ReadonlyArray<Lead>
): Effect.fn.Return<ReadonlyArray<number>, DBError> {
  const groups = yield* findGroups(adapter, scopeId)
  return yield* Effect.forEach(leads, ({ size }) => size(groups), { concurrency: "unbounded" })
})

const leadsOf = (adapter: Adapter, filters: Filters): ReadonlyArray<Lead> => {
  const { statuses, tools, triggers } = filters.values ?? {}
  const column = (
    name: "status" | "trigger" | "elicitation",
    conditions: ReadonlyArray<Where>,
    isSelected: (group: RollupGroup) => boolean
  ): Lead => ({
    idColumn: "id",
    ranges: conditions.map((condition) => ({
      table: "execution",
      where: whereExecution({ ...filters, [name]: condition })
    })),
    size: (groups) => sumOf(adapter, "execution_rollup", whereRollup(groups.filter(isSelected), allTime))
  })
  const leads: Array<Lead> = []
  if (statuses !== undefined)
    leads.push(
      column(
        "status",
        statuses.map((status) => eq("status", status)),
        ({ status }) => statuses.some((selected) => selected === status)
      )
    )
  if (triggers !== undefined) {
    const ofKind = (kind: string | null): Where =>
      kind === null ? { op: "isNull", column: "trigger_kind" } : eq("trigger_kind", kind)
    leads.push(column("trigger", triggers.map(ofKind), ({ triggerKind }) => triggers.includes(triggerKind)))
  }
  // Few were asked something, and nearly all were not.
  if (filters.elicitation !== undefined && !filters.accepts.asked(false)) {
    leads.push(column("elicitation", [filters.elicitation], ({ asked }) => asked))
  }
  if (tools !== undefined) {
    leads.push({
      idColumn: "execution_id",
      ranges: tools.map((tool) => executionsOfTool(filters, tool)),
      size: (groups) =>
        sumOf(adapter, "tool_rollup", {
          op: "and",
          conditions: [ofGroups(groups), { op: "in", column: "tool", values: tools }]
        })
    })
  }
  return leads.filter(({ ranges }) => ranges.length <= maxRanges)
}

const smallest = Effect.fnUntraced(function* (
  adapter: Adapter,
  { scopeId }: Filters,
  leads: ReadonlyArray<Lead>
): Effect.fn.Return<Lead | undefined, DBError> {
  if (leads.length < 2 || !adapter.keepsRollups) return leads[0]
  const sizes = yield* sizesOf(adapter, scopeId, leads)
  return leads[sizes.indexOf(Math.min(...sizes))]
})

/** So many executions are sorted by duration sooner than they are found in the order of all. */
const maxSorted = 5_000

const unindexed = (condition: Where | undefined): Where | undefined =>
  condition && { op: "not", condition: { op: "not", condition } }

/** The filters of a list by duration, so that the index of a filter is used only where it leads to few executions. */
const forDuration = Effect.fnUntraced(function* (
  adapter: Adapter,
  filters: Filters
): Effect.fn.Return<Filters, DBError> {
  if (!adapter.keepsRollups) return filters
  const leads = leadsOf(adapter, filters)
  if (leads.length === 0) return filters
  const sizes = yield* sizesOf(adapter, filters.scopeId, leads)
  if (Math.min(...sizes) <= maxSorted) return filters
  return { ...filters, status: unindexed(filters.status), trigger: unindexed(filters.trigger) }
})

/** A page of rows of `execution`, and whether there are more. One that is swept while the page is read is not in it. */
export interface RowPage {
  readonly rows: ReadonlyArray<Row>
  readonly hasMore: boolean
}

/**
 * So many executions a row of the page are looked into before an index of text is asked; the second time only if the first has found
 * so many that the page may be full then.
 */
const probedPerRow = [2, 8] as const

const maxProbed = 400

/** Rows of `execution` under the filters, in the order of the sort, from the position on; at most `limit`. */
export const findExecutions = Effect.fnUntraced(function* (
  adapter: Adapter,
  filters: Filters,
  sort: ExecutionSort,
  position: Position | undefined,
  limit: number
): Effect.fn.Return<RowPage, DBError> {
  const { searches = [], scopeId } = filters
  const [few, many] = probedPerRow
  if (searches.length > 0 && many * limit <= maxProbed) {
    const others = { ...filters, code: undefined, query: undefined }
    for (const perRow of probedPerRow) {
      const { hasMore, ids } = yield* findAlong(adapter, others, sort, position, perRow * limit, true)
      const isOneOf: Where = { op: "in", column: "id", values: ids }
      const found = yield* adapter.find({
        table: "execution",
        select: ["id"],
        where: { op: "and", conditions: [isOneOf, eq("scope_id", scopeId), ...searches] }
      })
      const matching = new Set(found.map((row) => row["id"]))
      if (matching.size > limit || !hasMore) {
        const page = ids.filter((id) => matching.has(id))
        return { rows: yield* findByIds(adapter, filters, page.slice(0, limit)), hasMore: page.length > limit }
      }
      if (matching.size * (many / few) <= limit) break
    }
  }
  return yield* findRows(adapter, filters, sort, position, limit)
})

const findRows = Effect.fnUntraced(function* (
  adapter: Adapter,
  filters: Filters,
  sort: ExecutionSort,
  position: Position | undefined,
  limit: number
): Effect.fn.Return<RowPage, DBError> {
  const { hasMore, ids, rows } = yield* findAlong(adapter, filters, sort, position, limit)
  return { rows: rows ?? (yield* findByIds(adapter, filters, ids)), hasMore }
})

/** The first executions along an index: their ids, and their rows where it is theirs and not only ids are wanted. */
const findAlong = Effect.fnUntraced(function* (
  adapter: Adapter,
  filters: Filters,
  sort: ExecutionSort,
  position: Position | undefined,
  limit: number,
  idsOnly = false
) {
  const { direction } = sort
  const lead = sort.field === "createdAt" ? yield* smallest(adapter, filters, leadsOf(adapter, filters)) : undefined
  const idColumn = lead?.idColumn ?? "id"
  const isWhole = idColumn === "id" && !idsOnly
  const sortColumn = sortColumns[sort.field]
  const range = {
    ...(isWhole ? {} : { select: [sortColumn, idColumn] }),
    ...(position && { after: position }),
    orderBy: [
      { column: sortColumn, direction },
      { column: idColumn, direction }
    ],
    // One more than the page tells whether there is another.
    limit: limit + 1
  }
  const chosen = sort.field === "durationMs" ? yield* forDuration(adapter, filters) : filters
  const ranges = lead?.ranges ?? [{ table: "execution", where: whereExecution(chosen) }]
  const found = yield* Effect.forEach(ranges, (part) => adapter.find({ ...part, ...range }), {
    concurrency: "unbounded"
  })
  const all = lead === undefined ? found.flat() : merge(found.flat(), idColumn, direction, limit + 1)
  const page = all.slice(0, limit)
  const ids = page.map((row) => String(row[idColumn]))
  return { ids, rows: isWhole ? page : undefined, hasMore: all.length > limit }
})

/** The first rows of several ranges together, each execution once. Ids compare by code points, as the database compares them. */
const merge = (
  rows: ReadonlyArray<Row>,
  idColumn: string,
  direction: "asc" | "desc",
  limit: number
): ReadonlyArray<Row> => {
  const sign = direction === "asc" ? 1 : -1
  const byId = new Map<Value | undefined, Row>(rows.map((row) => [row[idColumn], row]))
  return [...byId.values()]
    .toSorted(
      (left, right) =>
        sign *
        (Number(left["created_at"]) - Number(right["created_at"]) ||
          compareText(String(left[idColumn]), String(right[idColumn])))
    )
    .slice(0, limit)
}

const findByIds = Effect.fnUntraced(function* (
  adapter: Adapter,
  { scopeId }: Filters,
  ids: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<Row>, DBError> {
  if (ids.length === 0) return []
  const where: Where = { op: "and", conditions: [{ op: "in", column: "id", values: ids }, eq("scope_id", scopeId)] }
  const rows = new Map((yield* adapter.find({ table: "execution", where })).map((row) => [row["id"], row]))
  return ids.map((id) => rows.get(id)).filter((row) => row !== undefined)
})
