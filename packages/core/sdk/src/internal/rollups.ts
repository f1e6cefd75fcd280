/**
 * Asking the rollups: the tables in which a database counts executions that have ended, by group and period (see `coreSchema`).
 *
 * Every question begins with the groups of the scope, of which there are few: what is asked of a status, a trigger or a client is
 * asked of the ids of groups, and the counts of groups say what they are counts of. Tools are asked for by the sets that they
 * are in, so that an execution is counted once, whatever it called.
 */
import { Effect } from "effect"
import type { DBAdapter, DBError, Where } from "../DBAdapter.ts"
import type { ScopeId } from "../Ids.ts"
import { between, type Filters } from "./executionFilters.ts"
import { eq } from "./executionRows.ts"

type Adapter = DBAdapter["Service"]

/** What executions that are counted together have in common. */
export interface RollupGroup {
  readonly id: number
  readonly status: string
  readonly triggerKind: string | null
  readonly triggerClient: string | null
  readonly asked: boolean
}

/** Rows of a rollup: those of periods that are so long, from a time on and before another. */
export interface RollupPart {
  readonly period: number
  readonly from: number | undefined
  readonly to: number | undefined
}

const hour = 3_600_000
const day = 24 * hour
const week = 7 * day

/** The periods of each rollup in milliseconds, longest first; 0 is all time. All have hours. */
export const rollupPeriods = {
  execution_rollup: [0, day, hour],
  duration_rollup: [week, day, hour],
  tool_set_rollup: [week, hour]
} as const

/** The one period of all time. */
export const allTime: RollupPart = { period: 0, from: 0, to: 1 }

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null)

/** The groups of a scope. An adapter brings what it keeps up to date before it gives them. */
export const findGroups = (adapter: Adapter, scopeId: ScopeId): Effect.Effect<ReadonlyArray<RollupGroup>, DBError> =>
  Effect.map(adapter.find({ table: "rollup_group", where: eq("scope_id", scopeId) }), (rows) =>
    rows.map((row) => ({
      id: Number(row["id"]),
      status: String(row["status"]),
      triggerKind: textOrNull(row["trigger_kind"]),
      triggerClient: textOrNull(row["trigger_client"]),
      asked: row["asked"] === true
    }))
  )

/** The groups whose executions are under the filters of status, trigger and questions. */
export const groupsUnder = (
  { accepts, elicitation, status, trigger }: Filters,
  groups: ReadonlyArray<RollupGroup>
): ReadonlyArray<RollupGroup> =>
  groups.filter(
    (group) =>
      (status === undefined || accepts.status(group.status)) &&
      (trigger === undefined || accepts.trigger(group.triggerKind)) &&
      (elicitation === undefined || accepts.asked(group.asked))
  )

/** The condition of rows of some groups. */
export const ofGroups = (groups: ReadonlyArray<RollupGroup>): Where => ({
  op: "in",
  column: "group_id",
  values: groups.map(({ id }) => id)
})

/** The condition of rows of a rollup by period. */
export const whereRollup = (
  groups: ReadonlyArray<RollupGroup>,
  part: RollupPart,
  conditions: ReadonlyArray<Where> = []
): Where => ({
  op: "and",
  conditions: [
    ofGroups(groups),
    { op: "eq", column: "period", value: part.period },
    ...between("start", part),
    ...conditions
  ]
})

/** The sets with a tool that is selected, or any if nothing is, and without one that is excluded. */
export interface ToolSets {
  /** Whether all sets but these are meant, and executions without tools. */
  readonly areExcluded: boolean
  readonly ids: ReadonlyArray<number>
}

/** The sets of tools under the filter of tools. */
const findToolSets = Effect.fnUntraced(function* (
  adapter: Adapter,
  { scopeId, tools }: Filters
): Effect.fn.Return<ToolSets | undefined, DBError> {
  if (tools === undefined) return undefined
  const setsWith = (names: ReadonlyArray<string>) =>
    Effect.map(
      adapter.find({
        table: "tool_set_member",
        select: ["tool_set_id"],
        where: { op: "and", conditions: [eq("scope_id", scopeId), { op: "in", column: "tool", values: names }] }
      }),
      (rows) => new Set(rows.map((row) => Number(row["tool_set_id"])))
    )
  const excluded = yield* setsWith(tools.excluded)
  if (tools.selected === undefined) return { areExcluded: true, ids: [...excluded] }
  const selected = yield* setsWith(tools.selected)
  return { areExcluded: false, ids: [...selected].filter((id) => !excluded.has(id)) }
})

/** The tools of sets, by the names of `execution_tool`. */
export const findToolsOf = (
  adapter: Adapter,
  ids: ReadonlyArray<number>
): Effect.Effect<ReadonlyMap<number, ReadonlyArray<string>>, DBError> =>
  Effect.map(
    adapter.find({ table: "tool_set", select: ["id", "tools_json"], where: { op: "in", column: "id", values: ids } }),
    (rows) =>
      new Map(
        rows.map((row) => [Number(row["id"]), JSON.parse(String(row["tools_json"])) as ReadonlyArray<string>] as const)
      )
  )

/** What is asked of the rollups first, once for all counts of a list. */
export interface KnownRollups {
  readonly groups: ReadonlyArray<RollupGroup>
  readonly toolSets: ToolSets | undefined
}

/** Asks that for counts under the filters, or under some of them; gives nothing where no rollups are kept. */
export const knowRollups = Effect.fnUntraced(function* (
  adapter: Adapter,
  filters: Filters
): Effect.fn.Return<KnownRollups | undefined, DBError> {
  if (!adapter.keepsRollups) return undefined
  return { groups: yield* findGroups(adapter, filters.scopeId), toolSets: yield* findToolSets(adapter, filters) }
})
