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

const isInRollups = ({ code, query }: Filters): boolean => code === undefined && query === undefined

const callSums = ["tool_call_count", "failed_call_count", "in_doubt_call_count"]
const rollupSums = ["executions", "calls", "failed_calls", "in_doubt_calls"]

/** Counts the executions under the filters by the keys. */
export const tally = Effect.fnUntraced(function* (
  adapter: Adapter,
  rollups: KnownRollups | undefined,
  filters: Filters,
  keys: ReadonlyArray<TallyKey>
): Effect.fn.Return<ReadonlyArray<Tally>, DBError> {
  const sums = new Sums()
  const countRows = Effect.fnUntraced(function* (...conditions: ReadonlyArray<Where>) {
    const groups = yield* adapter.countBy({
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
    })
    for (const { count, keys, sums: calls } of groups) sums.add(keys, [count, ...(calls ?? [])])
  })
  if (rollups === undefined || !isInRollups(filters)) {
    yield* countRows()
    return sums.tallies()
  }

  yield* countRows(hasNotEnded)
  const { ends } = partsOf("execution_rollup", filters, bucketOf(keys))
  for (const end of ends) yield* countRows(hasEnded, ...between("created_at", end))

  const groups = new Map(groupsUnder(filters, rollups.groups).map((group) => [group.id, group]))
  for (const { query, sign } of rollupQueries(rollups, [...groups.values()], filters, keys)) {
    for (const group of yield* adapter.countBy(query)) {
      const found = keysOf(group, query.by, keys, groups)
      sums.add(
        found,
        (group.sums ?? []).map((sum) => sign * sum)
      )
    }
  }
  return sums.tallies()
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

/** Adds up counts by their keys. */
class Sums {
  readonly #sums = new Map<string, { readonly keys: ReadonlyArray<Value>; readonly sums: Array<number> }>()

  add(keys: ReadonlyArray<Value>, sums: ReadonlyArray<number>): void {
    const name = JSON.stringify(keys)
    const known = this.#sums.get(name) ?? { keys, sums: [0, 0, 0, 0] }
    this.#sums.set(name, known)
    for (const [i, sum] of sums.entries()) known.sums[i] = (known.sums[i] ?? 0) + sum
  }

  tallies(): ReadonlyArray<Tally> {
    return [...this.#sums.values()].flatMap(
      ({ keys, sums: [count = 0, calls = 0, failedCalls = 0, inDoubtCalls = 0] }) =>
        count > 0 ? [{ keys, count, calls, failedCalls, inDoubtCalls }] : []
    )
  }
}

/** How many executions under the filters, which ask for no tools, called each tool, by the names of `execution_tool`. */
export const tallyTools = Effect.fnUntraced(function* (
  adapter: Adapter,
  rollups: KnownRollups | undefined,
  filters: Filters
): Effect.fn.Return<ReadonlyMap<string, number>, DBError> {
  const sums = new Sums()
  const countRows = Effect.fnUntraced(function* (...conditions: ReadonlyArray<Where>) {
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
    for (const { count, keys } of groups) sums.add(keys, [count])
  })
  if (rollups === undefined || !isInRollups(filters)) yield* countRows()
  else {
    const groups = groupsUnder(filters, rollups.groups)
    const { ends, whole } = partsOf("tool_set_rollup", filters, undefined)
    yield* countRows(hasNotEnded)
    for (const end of ends) yield* countRows(hasEnded, ...between("created_at", end))
    if (isOfAllTime(filters)) {
      const by: ReadonlyArray<GroupBy> = [{ column: "tool" }]
      const options = { table: "tool_rollup", where: ofGroups(groups), by, sum: ["executions"] }
      for (const { keys, sums: counts } of yield* adapter.countBy(options)) sums.add(keys, counts ?? [])
    } else {
      for (const part of whole) {
        const by: ReadonlyArray<GroupBy> = [{ column: "tool_set_id" }]
        const options = { table: "tool_set_rollup", where: whereRollup(groups, part), by, sum: ["executions"] }
        const bySet = yield* adapter.countBy(options)
        const toolsOf = yield* findToolsOf(
          adapter,
          bySet.map(({ keys }) => Number(keys[0]))
        )
        for (const { keys, sums: counts } of bySet) {
          for (const tool of toolsOf.get(Number(keys[0])) ?? []) sums.add([tool], counts ?? [])
        }
      }
    }
  }
  return new Map(sums.tallies().map(({ count, keys }) => [String(keys[0]), count]))
})

/** So many executions are named in a condition; more are described by one. */
const maxIds = 5_000
