/**
 * Counting executions under filters, by a few of their properties.
 *
 * Where the adapter keeps rollups and the filters ask for nothing that these do not know, executions that have ended are
 * counted from rollups: whole periods of the time range, and only what is left at its two ends, less than an hour each, from
 * the rows. Executions that have not ended are few, and are counted from their rows.
 */
import { Effect } from "effect"
import type { CountByOptions, DBAdapter, DBError, Group, GroupBy, Value, Where } from "../DBAdapter.ts"
import { between, type Filters, whereExecution } from "./executionFilters.ts"
import { eq, hasEnded, hasNotEnded } from "./executionRows.ts"
import { bucketStart } from "./timeline.ts"
import {
  allTime,
  findToolsOf,
  groupsUnder,
  type KnownRollups,
  ofGroups,
  type RollupGroup,
  type RollupPart,
  rollupPeriods,
  whereRollup
} from "./rollups.ts"

type Adapter = DBAdapter["Service"]

/** What all executions of a group of the rollups have in common; `asked` is whether a human was asked something. */
type Property = "status" | "trigger_kind" | "trigger_client" | "asked"

/** What executions are counted by: their properties, and the time of creation in buckets. */
export type TallyKey = Property | "duration_bin" | { readonly bucketMs: number }

/** Executions with the same keys, with the calls of those that have ended. */
export interface Tally {
  readonly keys: ReadonlyArray<Value>
  readonly count: number
  readonly calls: number
  readonly failedCalls: number
  readonly inDoubtCalls: number
}

type Range = Pick<Filters, "from" | "to">

const isOfAllTime = ({ from, to }: Range): boolean => from === undefined && to === undefined

/** The parts of a range in the given periods, as long ones as possible; `ends` are those that need the rows. */
const split = ({ from, to }: Range, [period, ...shorter]: ReadonlyArray<number>): Parts => {
  if (from !== undefined && to !== undefined && from >= to) return noParts
  if (period === undefined) return { whole: [], ends: [{ from, to }] }
  if (period === 0) return isOfAllTime({ from, to }) ? { whole: [allTime], ends: [] } : split({ from, to }, shorter)
  const first = from === undefined ? undefined : Math.ceil(from / period) * period
  const last = to === undefined ? undefined : Math.floor(to / period) * period
  if (first !== undefined && last !== undefined && first >= last) return split({ from, to }, shorter)
  const before = first === from ? noParts : split({ from, to: first }, shorter)
  const after = last === to ? noParts : split({ from: last, to }, shorter)
  return {
    whole: [...before.whole, { period, from: first, to: last }, ...after.whole],
    ends: [...before.ends, ...after.ends]
  }
}

interface Parts {
  readonly whole: ReadonlyArray<RollupPart>
  readonly ends: ReadonlyArray<Range>
}

const noParts: Parts = { whole: [], ends: [] }

/** The parts of a range in the periods of a rollup, none of which crosses the border of a bucket. */
const partsOf = (table: keyof typeof rollupPeriods, range: Range, bucketMs: number | undefined): Parts =>
  split(
    range,
    rollupPeriods[table].filter((period) => bucketMs === undefined || (period > 0 && bucketMs % period === 0))
  )

const bucketOf = (keys: ReadonlyArray<TallyKey>): number | undefined =>
  keys.find((key) => typeof key === "object")?.bucketMs

/** Whether executions under the filters are counted row by row: each count reads them all. */
export const areRead = (rollups: KnownRollups | undefined, { code, query }: Filters): rollups is undefined =>
  rollups === undefined || code !== undefined || query !== undefined

const callSums = ["tool_call_count", "failed_call_count", "in_doubt_call_count"]
const rollupSums = ["executions", "calls", "failed_calls", "in_doubt_calls"]

/** Counts the executions under the filters by the keys. */
export const tally = Effect.fnUntraced(function* (
  adapter: Adapter,
  rollups: KnownRollups | undefined,
  filters: Filters,
  keys: ReadonlyArray<TallyKey>
): Effect.fn.Return<ReadonlyArray<Tally>, DBError> {
  const countRows = (...conditions: ReadonlyArray<Where>): Effect.Effect<Counts, DBError> =>
    Effect.map(
      adapter.countBy({
        table: "execution",
        where: { op: "and", conditions: [whereExecution(filters), ...conditions] },
        by: keys.map((key): GroupBy =>
          typeof key === "object"
            ? { bucket: { column: "created_at", size: key.bucketMs } }
            : key === "asked"
              ? { notNull: "asked_at" }
              : { column: key }
        ),
        sum: callSums
      }),
      (groups) => groups.map(({ count, keys, sums = [] }) => ({ keys, sums: [count, ...sums] }))
    )
  if (areRead(rollups, filters)) return addUp([yield* countRows()])

  const groups = new Map(groupsUnder(filters, rollups.groups).map((group) => [group.id, group]))
  const countRollup = ({ query, sign }: RollupQuery): Effect.Effect<Counts, DBError> =>
    Effect.map(adapter.countBy(query), (counted) =>
      counted.map((group) => ({
        keys: keysOf(group, query.by, keys, groups),
        sums: (group.sums ?? []).map((sum) => sign * sum)
      }))
    )
  const { ends } = partsOf("execution_rollup", filters, bucketOf(keys))
  return addUp(
    yield* Effect.all(
      [
        countRows(hasNotEnded),
        ...ends.map((end) => countRows(hasEnded, ...between("created_at", end))),
        ...rollupQueries(rollups, [...groups.values()], filters, keys).map(countRollup)
      ],
      { concurrency: "unbounded" }
    )
  )
})

interface RollupQuery {
  readonly query: CountByOptions
  /** -1 where what it finds is to be taken away. */
  readonly sign: 1 | -1
}

/** What to ask the rollups for executions that have ended. */
const rollupQueries = (
  { toolSets }: KnownRollups,
  groups: ReadonlyArray<RollupGroup>,
  filters: Filters,
  keys: ReadonlyArray<TallyKey>
): ReadonlyArray<RollupQuery> => {
  const byDuration = keys.includes("duration_bin")
  const bucketMs = bucketOf(keys)
  const byGroup = keys.some((key) => typeof key === "string" && key !== "duration_bin")
  const by = (period: number): ReadonlyArray<GroupBy> => [
    ...(bucketMs === undefined ? [] : [byBucket(bucketMs, period)]),
    ...(byGroup ? [{ column: "group_id" }] : []),
    ...(byDuration ? [{ column: "duration_bin" }] : [])
  ]
  const inParts = (
    table: keyof typeof rollupPeriods,
    sign: 1 | -1,
    conditions: ReadonlyArray<Where> = []
  ): ReadonlyArray<RollupQuery> =>
    partsOf(table, filters, bucketMs).whole.map((part) => {
      const sum = table === "duration_rollup" ? ["executions"] : rollupSums
      return { query: { table, where: whereRollup(groups, part, conditions), by: by(part.period), sum }, sign }
    })
  const all = () => inParts(byDuration ? "duration_rollup" : "execution_rollup", 1)

  if (filters.tool === undefined || toolSets === undefined) return all()
  const tool = onlyTool(filters)
  if (tool !== undefined && isOfAllTime(filters) && bucketMs === undefined && !byDuration) {
    const where: Where = { op: "and", conditions: [ofGroups(groups), eq("tool", tool)] }
    const query = { table: "tool_rollup", where, by: by(0), sum: rollupSums }
    return toolSets.areExcluded ? [...all(), { query, sign: -1 }] : [{ query, sign: 1 }]
  }
  const ofSets: ReadonlyArray<Where> = [
    { op: "in", column: "tool_set_id", values: toolSets.ids },
    ...(byDuration ? [{ op: "gte", column: "duration_bin", value: 0 } as const] : [])
  ]
  return toolSets.areExcluded
    ? [...all(), ...inParts("tool_set_rollup", -1, ofSets)]
    : inParts("tool_set_rollup", 1, ofSets)
}

/** The buckets of a rollup's periods. To bring two periods of a bucket together costs a database more than to give both. */
const byBucket = (size: number, period: number): GroupBy =>
  size <= 2 * period ? { column: "start" } : { bucket: { column: "start", size } }

/** The one tool that is selected, or excluded, if it is no more than that. */
const onlyTool = ({ tools: { excluded, selected } = { excluded: [] } }: Filters): string | undefined => {
  const [name, ...others] = selected === undefined ? excluded : [...selected, ...excluded]
  return others.length === 0 && (selected === undefined || selected.length === 1) ? name : undefined
}

/** The keys of a group that was counted by others. */
const keysOf = (
  counted: Group,
  by: ReadonlyArray<GroupBy>,
  keys: ReadonlyArray<TallyKey>,
  groups: ReadonlyMap<unknown, RollupGroup>
): ReadonlyArray<Value> => {
  const valueOf = (matches: (by: GroupBy) => boolean): Value => counted.keys[by.findIndex(matches)] ?? null
  const group = groups.get(valueOf((by) => "column" in by && by.column === "group_id"))
  const properties: { readonly [Key in Property]: Value } = {
    status: group?.status ?? null,
    trigger_kind: group?.triggerKind ?? null,
    trigger_client: group?.triggerClient ?? null,
    asked: group?.asked ?? null
  }
  return keys.map((key) =>
    typeof key === "object"
      ? bucketStart(Number(valueOf((by) => "bucket" in by || ("column" in by && by.column === "start"))), key.bucketMs)
      : key === "duration_bin"
        ? valueOf((by) => "column" in by && by.column === key)
        : properties[key]
  )
}

/** What one query counted. */
type Counts = ReadonlyArray<{ readonly keys: ReadonlyArray<Value>; readonly sums: ReadonlyArray<number> }>

/** Adds up by the keys what several queries counted. */
const addUp = (counts: ReadonlyArray<Counts>): ReadonlyArray<Tally> => {
  const totals = new Map<string, { readonly keys: ReadonlyArray<Value>; readonly sums: Array<number> }>()
  for (const { keys, sums } of counts.flat()) {
    const name = JSON.stringify(keys)
    const total = totals.get(name) ?? { keys, sums: [0, 0, 0, 0] }
    totals.set(name, total)
    for (const [i, sum] of sums.entries()) total.sums[i] = (total.sums[i] ?? 0) + sum
  }
  return [...totals.values()].flatMap(({ keys, sums: [count = 0, calls = 0, failedCalls = 0, inDoubtCalls = 0] }) =>
    count > 0 ? [{ keys, count, calls, failedCalls, inDoubtCalls }] : []
  )
}

/** How many executions under the filters, which ask for no tools, called each tool, by the names of `execution_tool`. */
export const tallyTools = Effect.fnUntraced(function* (
  adapter: Adapter,
  rollups: KnownRollups | undefined,
  filters: Filters
): Effect.fn.Return<ReadonlyMap<string, number>, DBError> {
  const byTool = (tallies: ReadonlyArray<Tally>) =>
    new Map(tallies.map(({ count, keys }) => [String(keys[0]), count] as const))

  const countRows = Effect.fnUntraced(function* (
    ...conditions: ReadonlyArray<Where>
  ): Effect.fn.Return<Counts, DBError> {
    const where: Where = { op: "and", conditions: [whereExecution(filters), ...conditions] }
    const few = yield* adapter.find({ table: "execution", select: ["id"], where, limit: maxIds + 1 })
    const values = few.map((row) => String(row["id"]))
    const ofFew: Where = { op: "in", column: "execution_id", values }
    const ofMany: Where = { op: "exists", table: "execution", local: "execution_id", foreign: "id", where }
    const groups = yield* adapter.countBy({
      table: "execution_tool",
      where: { op: "and", conditions: [eq("scope_id", filters.scopeId), values.length <= maxIds ? ofFew : ofMany] },
      by: [{ column: "tool" }]
    })
    return groups.map(({ count, keys }) => ({ keys, sums: [count] }))
  })
  if (areRead(rollups, filters)) return byTool(addUp([yield* countRows()]))

  const groups = groupsUnder(filters, rollups.groups)
  const countAll = Effect.fnUntraced(function* (): Effect.fn.Return<Counts, DBError> {
    const by: ReadonlyArray<GroupBy> = [{ column: "tool" }]
    const counted = yield* adapter.countBy({ table: "tool_rollup", where: ofGroups(groups), by, sum: ["executions"] })
    return counted.map(({ keys, sums = [] }) => ({ keys, sums }))
  })
  const countSets = Effect.fnUntraced(function* (part: RollupPart): Effect.fn.Return<Counts, DBError> {
    const by: ReadonlyArray<GroupBy> = [{ column: "tool_set_id" }]
    const where = whereRollup(groups, part)
    const counted = yield* adapter.countBy({ table: "tool_set_rollup", where, by, sum: ["executions"] })
    const ids = counted.map(({ keys }) => Number(keys[0]))
    const toolsOf = yield* findToolsOf(adapter, ids)
    return counted.flatMap(({ sums = [] }, i) =>
      (toolsOf.get(ids[i] ?? NaN) ?? []).map((tool) => ({ keys: [tool], sums }))
    )
  })
  const { ends, whole } = partsOf("tool_set_rollup", filters, undefined)
  const counts = yield* Effect.all(
    [
      countRows(hasNotEnded),
      ...ends.map((end) => countRows(hasEnded, ...between("created_at", end))),
      ...(isOfAllTime(filters) ? [countAll()] : whole.map(countSets))
    ],
    { concurrency: "unbounded" }
  )
  return byTool(addUp(counts))
})

/** So many executions are named in a condition; more are described by one. */
const maxIds = 5_000
