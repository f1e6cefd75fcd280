/**
 * The filters of a list of executions, each as a condition of its own, so that the counts of a facet can leave out the
 * facet's own filter.
 */
import type { Where } from "../DBAdapter.ts"
import type { ScopeId } from "../Ids.ts"
import { type ListExecutionsOptions, ListOptionsInvalid } from "../ExecutionStore.ts"

/** What `triggerFilter` and `triggerCounts` call executions that recorded no trigger. */
export const unknownTrigger = "unknown"

/** One condition for each filter that is set. */
export interface Filters {
  readonly scopeId: ScopeId
  readonly status?: Where | undefined
  readonly trigger?: Where | undefined
  readonly tool?: Where | undefined
  readonly createdFrom?: Where | undefined
  readonly createdTo?: Where | undefined
  readonly after?: Where | undefined
  readonly code?: Where | undefined
  readonly elicitation?: Where | undefined
}

const eq = (column: string, value: string): Where => ({ op: "eq", column, value })

/** The conditions of an execution under all filters but `without`. */
export const whereExecution = (filters: Filters, without?: keyof Filters): Where => {
  const { scopeId, ...rest } = filters
  const conditions = Object.entries(rest).flatMap(([name, where]) =>
    where === undefined || name === without ? [] : [where]
  )
  return { op: "and", conditions: [eq("scope_id", scopeId), ...conditions] }
}

/** Whether there is any filter but `without`. */
export const isFiltered = (filters: Filters, without: keyof Filters): boolean =>
  Object.entries(filters).some(([name, where]) => name !== "scopeId" && name !== without && where !== undefined)

/** The condition of executions that were asked something, or were not. */
export const whereAsked = (asked: boolean): Where =>
  asked ? { op: "gt", column: "interaction_count", value: 0 } : { op: "eq", column: "interaction_count", value: 0 }

/** The conditions of the options, or what is wrong with them. */
export const makeFilters = (scopeId: ScopeId, options: ListExecutionsOptions): Filters | ListOptionsInvalid => {
  const { from, to } = options.timeRange ?? {}
  if (from !== undefined && to !== undefined && from > to) {
    return new ListOptionsInvalid({
      option: "timeRange",
      message: `timeRange: expected from to be at or before to, and ${from} is after ${to}.`
    })
  }
  const tool = whereTool(scopeId, options.toolPathFilter ?? [])
  if (tool instanceof ListOptionsInvalid) return tool
  return {
    scopeId,
    status: options.statusFilter?.length ? { op: "in", column: "status", values: options.statusFilter } : undefined,
    trigger: options.triggerFilter?.length ? whereTrigger(options.triggerFilter) : undefined,
    tool,
    createdFrom: from === undefined ? undefined : { op: "gte", column: "created_at", value: from },
    createdTo: to === undefined ? undefined : { op: "lt", column: "created_at", value: to },
    after: options.after === undefined ? undefined : { op: "gt", column: "created_at", value: options.after },
    code: options.codeQuery ? { op: "contains", column: "code", value: options.codeQuery } : undefined,
    elicitation: options.hadElicitation === undefined ? undefined : whereAsked(options.hadElicitation)
  }
}

const whereTrigger = (kinds: ReadonlyArray<string>): Where => {
  const known: Where = { op: "in", column: "trigger_kind", values: kinds }
  return kinds.includes(unknownTrigger)
    ? { op: "or", conditions: [known, { op: "isNull", column: "trigger_kind" }] }
    : known
}

const whereTool = (scopeId: ScopeId, patterns: ReadonlyArray<string>): Where | undefined | ListOptionsInvalid => {
  if (patterns.length === 0) return undefined
  const invalid = patterns.find((pattern) => !/^[^*]+$/.test(pattern.replace(/\.\*$/, "")))
  if (invalid !== undefined) {
    return new ListOptionsInvalid({
      option: "toolPathFilter",
      message: `toolPathFilter: expected a tool's path, or a prefix such as github.*, not ${JSON.stringify(invalid)}.`
    })
  }
  const paths = patterns.filter((pattern) => !pattern.endsWith(".*"))
  const prefixes = patterns.filter((pattern) => pattern.endsWith(".*")).map((pattern) => pattern.slice(0, -2))
  const conditions: Array<Where> = prefixes.map((prefix) => ({
    op: "and",
    conditions: [
      // The namespace follows from the prefix, and has an index that leads to the calls of one execution.
      eq("namespace", prefix.split(".")[0] ?? prefix),
      { op: "startsWith", column: "tool_path", value: `${prefix}.` }
    ]
  }))
  if (paths.length > 0) conditions.push({ op: "in", column: "tool_path", values: paths })
  return {
    op: "exists",
    table: "execution_tool_call",
    local: "id",
    foreign: "execution_id",
    where: { op: "and", conditions: [eq("scope_id", scopeId), { op: "or", conditions }] }
  }
}
