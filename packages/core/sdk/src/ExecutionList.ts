/**
 * What `list` of the history takes and gives: filters, order, pages, and the counts beside a page.
 */
import { Schema } from "effect"
import type { ExecutionInteraction, ExecutionSummary } from "./Execution.ts"
import { ExecutionStatus } from "./Status.ts"

/** An execution of a list, with the oldest question that waits for an answer. */
export interface ListedExecution {
  readonly execution: ExecutionSummary
  readonly pendingInteraction: ExecutionInteraction | null
}

/** How a list is ordered; ties are broken by id. Executions without a duration come last. */
export const ExecutionSort = Schema.Struct({
  field: Schema.Literals(["createdAt", "durationMs"]),
  direction: Schema.Literals(["asc", "desc"])
})
export type ExecutionSort = typeof ExecutionSort.Type

/** The page size when none is asked for, and the largest: a page is read by people. */
export const defaultListLimit = 25
export const maxListLimit = 100

/** A filter of more alternatives than this is not a choice that somebody made. */
export const maxFilterValues = 100

const filterOf = <S extends Schema.Top>(value: S) =>
  Schema.optional(Schema.Array(value).check(Schema.isMaxLength(maxFilterValues)))

/** What `statusFilter` takes: a status, or `!status`. */
export const StatusFilter = Schema.Literals([
  ...ExecutionStatus.literals,
  ...ExecutionStatus.literals.map((status) => `!${status}` as const)
])
export type StatusFilter = typeof StatusFilter.Type

/** The shortest text that `query` looks for: an index of trigrams serves nothing shorter. */
export const minQueryLength = 3

/**
 * What `list` selects. All filters must hold; the values of one filter are alternatives, and none is no filter. A value
 * of the status, trigger and tool filter that begins with `!` excludes: of those none may hold.
 */
export const ListExecutionsOptions = Schema.Struct({
  /** 1 to 100; 25 by default. */
  limit: Schema.optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxListLimit }))),
  /** Continues where another page ended: its `nextCursor`. Only with the same `sort`. */
  cursor: Schema.optional(Schema.String),
  statusFilter: filterOf(StatusFilter),
  /**
   * Trigger kinds; `"unknown"` selects executions that recorded none. After `=` a kind stands for itself, whatever it
   * is: `=unknown`, `=!x`.
   */
  triggerFilter: filterOf(Schema.String),
  /** Executions that called one of these: a path, or a pattern where `*` is any text: `github.*`, `*.create`. */
  toolPathFilter: filterOf(Schema.String),
  /** Created at or after `from` and before `to`, in milliseconds since the epoch. */
  timeRange: Schema.optional(Schema.Struct({ from: Schema.optional(Schema.Int), to: Schema.optional(Schema.Int) })),
  /** Created after this time: for following the newest. */
  after: Schema.optional(Schema.Int),
  /** A substring of the code, whatever its case. */
  codeQuery: Schema.optional(Schema.String),
  /**
   * A substring, whatever its case, of what the execution was or did: its code, its error, its result, or the arguments,
   * result or error of one of its calls.
   */
  query: Schema.optional(Schema.String.check(Schema.isMinLength(minQueryLength))),
  /** Whether a human was asked anything. */
  hadElicitation: Schema.optional(Schema.Boolean),
  /** Newest first by default. */
  sort: Schema.optional(ExecutionSort),
  /** Counts and the timeline beside the page. */
  includeMeta: Schema.optional(Schema.Boolean)
})
export type ListExecutionsOptions = typeof ListExecutionsOptions.Type

/** Executions per status. */
export const StatusCounts = Schema.Record(ExecutionStatus, Schema.Int)
export type StatusCounts = typeof StatusCounts.Type

/** Counts beside a page. A facet's counts ignore the facet's own filter. */
export const ListMeta = Schema.Struct({
  /** Executions in the scope. */
  totalRowCount: Schema.Int,
  /** Executions under all filters. */
  filterRowCount: Schema.Int,
  statusCounts: StatusCounts,
  /** By trigger kind, as `triggerFilter` takes it: `unknown` for none. */
  triggerCounts: Schema.Record(Schema.String, Schema.Int),
  /** The 20 tools that most executions called. */
  toolFacets: Schema.Array(Schema.Struct({ toolPath: Schema.String, count: Schema.Int })),
  /** The namespaces that executions called tools of, largest count first. */
  namespaceFacets: Schema.Array(Schema.Struct({ namespace: Schema.String, count: Schema.Int })),
  /** The 20 clients, as named in the trigger's meta, that started most executions. */
  clientFacets: Schema.Array(Schema.Struct({ client: Schema.String, count: Schema.Int })),
  interactionCounts: Schema.Struct({ withElicitation: Schema.Int, withoutElicitation: Schema.Int }),
  /** The tool calls of executions that have ended: all, those that failed, and those whose effect is not known. */
  toolCallCounts: Schema.Struct({ total: Schema.Int, failed: Schema.Int, inDoubt: Schema.Int }),
  /** The width of a bucket of the timeline, in milliseconds. */
  chartBucketMs: Schema.Int,
  /**
   * Executions per bucket and status over the time range (or from the oldest to the newest), empty buckets included, with
   * the duration that half, and 95 in 100, of those with a duration did not exceed: never too low, and from 16 ms on at
   * most an eighth too high.
   */
  chartData: Schema.Array(
    Schema.Struct({
      bucketStart: Schema.Int,
      counts: StatusCounts,
      p50DurationMs: Schema.NullOr(Schema.Int),
      p95DurationMs: Schema.NullOr(Schema.Int)
    })
  )
})
export type ListMeta = typeof ListMeta.Type

/** A page of executions. */
export interface ExecutionPage {
  readonly executions: ReadonlyArray<ListedExecution>
  /** Present when there is more. */
  readonly nextCursor?: string | undefined
  readonly meta?: ListMeta | undefined
}
