/**
 * The counts beside a page of executions: every facet without its own filter, and the timeline under all of them.
 */
import { Effect } from "effect"
import type { DBAdapter, DBError, Value } from "../DBAdapter.ts"
import type { ListMeta, StatusCounts } from "../ExecutionList.ts"
import { ExecutionStatus } from "../Status.ts"
import { percentile } from "./durations.ts"
import { type Filters, noFilters, triggerName } from "./executionFilters.ts"
import { findExecutions } from "./executionPage.ts"
import { atOnce } from "./executionRows.ts"
import { areRead, type Tally, tally, type TallyKey, tallyTools } from "./executionTally.ts"
import { knowRollups, type KnownRollups } from "./rollups.ts"
import { bucketStarts, bucketWidth } from "./timeline.ts"

type Adapter = DBAdapter["Service"]

/** So many choices fit a list; the rest is found by typing. */
const maxFacets = 20

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

const sumOf = (tallies: ReadonlyArray<Tally>, field: "count" | "calls" | "failedCalls" | "inDoubtCalls" = "count") =>
  tallies.reduce((sum, tally) => sum + tally[field], 0)

/** Counts under the filters. */
export const listMeta = Effect.fnUntraced(function* (
  adapter: Adapter,
  filters: Filters
): Effect.fn.Return<ListMeta, DBError> {
  const { tool: _tool, tools: _tools, values: _values, ...anyTool } = filters
  const { elicitation: _elicitation, status: _status, trigger: _trigger, ...others } = filters
  const keys = ["status", "trigger_kind", "trigger_client", "asked"] as const
  const rollups = yield* knowRollups(adapter, filters)
  const [counts, all, tools, chart] = yield* Effect.all(
    [
      tally(adapter, rollups, others, keys),
      tally(adapter, rollups, noFilters(filters.scopeId), []),
      tallyTools(adapter, rollups, anyTool),
      timeline(adapter, rollups, filters)
    ],
    atOnce
  )
  const properties = counts.map((counted) => {
    const [status, kind, client, asked] = counted.keys
    return { ...counted, status: String(status), kind: textOf(kind), client: textOf(client), asked: asked === true }
  })
  const { accepts } = filters
  const anyStatus = properties.filter(({ asked, kind }) => accepts.trigger(kind) && accepts.asked(asked))
  const anyTrigger = properties.filter(({ asked, status }) => accepts.status(status) && accepts.asked(asked))
  const anyAsked = properties.filter(({ kind, status }) => accepts.status(status) && accepts.trigger(kind))
  const selected = anyAsked.filter(({ asked }) => accepts.asked(asked))
  return {
    totalRowCount: sumOf(all),
    filterRowCount: sumOf(selected),
    statusCounts: countsByStatus(anyStatus),
    triggerCounts: Object.fromEntries(countBy(anyTrigger, ({ kind }) => triggerName(kind))),
    ...facetsOf(tools),
    clientFacets: [...countBy(selected, ({ client }) => client)]
      .flatMap(([client, count]) => (client === null ? [] : [{ client, count }]))
      .toSorted(byCount(({ client }) => client))
      .slice(0, maxFacets),
    interactionCounts: {
      withElicitation: sumOf(anyAsked.filter(({ asked }) => asked)),
      withoutElicitation: sumOf(anyAsked.filter(({ asked }) => !asked))
    },
    toolCallCounts: {
      total: sumOf(selected, "calls"),
      failed: sumOf(selected, "failedCalls"),
      inDoubt: sumOf(selected, "inDoubtCalls")
    },
    ...chart
  }
})

const countBy = <A extends Tally, K>(tallies: ReadonlyArray<A>, key: (tally: A) => K): ReadonlyMap<K, number> => {
  const counts = new Map<K, number>()
  for (const tally of tallies) counts.set(key(tally), tally.count + (counts.get(key(tally)) ?? 0))
  return counts
}

const textOf = (value: Value | undefined): string | null => (typeof value === "string" ? value : null)

const countsByStatus = (tallies: ReadonlyArray<{ readonly status: unknown; readonly count: number }>): StatusCounts => {
  const counts = noCounts()
  for (const { count, status } of tallies) if (isStatus(status)) counts[status] += count
  return counts
}

const byCount =
  <A extends { readonly count: number }>(name: (facet: A) => string) =>
  (left: A, right: A): number =>
    right.count - left.count || (name(left) < name(right) ? -1 : 1)

/** The names in `execution_tool` are paths, and `namespace.*`. */
const facetsOf = (counts: ReadonlyMap<string, number>): Pick<ListMeta, "toolFacets" | "namespaceFacets"> => {
  const toolFacets: Array<{ readonly toolPath: string; readonly count: number }> = []
  const namespaceFacets: Array<{ readonly namespace: string; readonly count: number }> = []
  for (const [name, count] of counts) {
    if (name.endsWith(".*")) namespaceFacets.push({ namespace: name.slice(0, -2), count })
    else toolFacets.push({ toolPath: name, count })
  }
  return {
    toolFacets: toolFacets.toSorted(byCount(({ toolPath }) => toolPath)).slice(0, maxFacets),
    namespaceFacets: namespaceFacets.toSorted(byCount(({ namespace }) => namespace))
  }
}

/** The time of the first or the last execution under the filters. */
const edge = (adapter: Adapter, filters: Filters, direction: "asc" | "desc") =>
  Effect.map(findExecutions(adapter, filters, { field: "createdAt", direction }, undefined, 1), ({ rows: [row] }) =>
    typeof row?.["created_at"] === "number" ? row["created_at"] : undefined
  )

const timeline = Effect.fnUntraced(function* (
  adapter: Adapter,
  rollups: KnownRollups | undefined,
  filters: Filters
): Effect.fn.Return<Pick<ListMeta, "chartBucketMs" | "chartData">, DBError> {
  const first = filters.from ?? (yield* edge(adapter, filters, "asc"))
  const last = filters.to === undefined ? yield* edge(adapter, filters, "desc") : filters.to - 1
  if (first === undefined || last === undefined || first > last)
    return { chartBucketMs: bucketWidth(0, 0), chartData: [] }

  const bucketMs = bucketWidth(first, last)
  const bin: TallyKey = "duration_bin"
  const together = areRead(rollups, filters)
  const statuses = yield* tally(adapter, rollups, filters, [{ bucketMs }, "status", ...(together ? [bin] : [])])
  const durations = together ? statuses : yield* tally(adapter, rollups, filters, [{ bucketMs }, bin])
  const statusesOf = Map.groupBy(statuses, ({ keys }) => keys[0])
  const durationsOf = Map.groupBy(durations, ({ keys }) => keys[0])
  return {
    chartBucketMs: bucketMs,
    chartData: bucketStarts(first, last, bucketMs).map((bucketStart) => {
      const ended = (durationsOf.get(bucketStart) ?? []).filter(({ keys }) => typeof keys.at(-1) === "number")
      const bins = countBy(ended, ({ keys }) => Number(keys.at(-1)))
      return {
        bucketStart,
        counts: countsByStatus(
          (statusesOf.get(bucketStart) ?? []).map(({ count, keys }) => ({ count, status: keys[1] }))
        ),
        p50DurationMs: percentile(bins, 0.5),
        p95DurationMs: percentile(bins, 0.95)
      }
    })
  }
})
