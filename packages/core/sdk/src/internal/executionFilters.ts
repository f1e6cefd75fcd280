/**
 * The filters of a list of executions, each as a condition of its own, so that the counts of a facet can leave out the
 * facet's own filter.
 */
import { Effect } from "effect"
import type { DBAdapter, DBError, Where } from "../DBAdapter.ts"
import type { ScopeId } from "../Ids.ts"
import { type ListExecutionsOptions, ListOptionsInvalid } from "../ExecutionStore.ts"
import { eq } from "./executionRows.ts"

/** What `triggerFilter` and `triggerCounts` call executions that recorded no trigger. */
const unknownTrigger = "unknown"

/** A trigger kind as `triggerFilter` takes it. */
export const triggerName = (kind: string | null): string =>
  kind === null ? unknownTrigger : kind === unknownTrigger || /^[=!]/.test(kind) ? `=${kind}` : kind

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
  readonly query?: Where | undefined
  readonly elicitation?: Where | undefined
}

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
export const whereAsked = (asked: boolean): Where => ({ op: asked ? "isNotNull" : "isNull", column: "asked_at" })

/** The conditions of the options, or what is wrong with them. */
export const makeFilters = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  scopeId: ScopeId,
  options: ListExecutionsOptions
): Effect.fn.Return<Filters, DBError | ListOptionsInvalid> {
  const { from, to } = options.timeRange ?? {}
  if (from !== undefined && to !== undefined && from > to) {
    return yield* new ListOptionsInvalid({
      option: "timeRange",
      message: `timeRange: expected from to be at or before to, and ${from} is after ${to}.`
    })
  }
  return {
    scopeId,
    status: choice(options.statusFilter, (values) => ({ op: "in", column: "status", values })),
    trigger: choice(options.triggerFilter, whereTrigger),
    tool: yield* whereTool(adapter, scopeId, options.toolPathFilter),
    createdFrom: from === undefined ? undefined : { op: "gte", column: "created_at", value: from },
    createdTo: to === undefined ? undefined : { op: "lt", column: "created_at", value: to },
    after: options.after === undefined ? undefined : { op: "gt", column: "created_at", value: options.after },
    code: options.codeQuery ? hasCode(options.codeQuery) : undefined,
    query: options.query === undefined ? undefined : hasText(options.query),
    elicitation: options.hadElicitation === undefined ? undefined : whereAsked(options.hadElicitation)
  }
})

/** Splits the values of a filter into those to select and those to exclude. */
const split = (values: ReadonlyArray<string>) => ({
  selected: values.filter((value) => !value.startsWith("!")),
  excluded: values.filter((value) => value.startsWith("!")).map((value) => value.slice(1))
})

/** The condition of a filter with values to select and to exclude. */
const choice = (
  values: ReadonlyArray<string> | undefined,
  condition: (values: ReadonlyArray<string>) => Where
): Where | undefined => {
  if (values === undefined || values.length === 0) return undefined
  const { excluded, selected } = split(values)
  const conditions: ReadonlyArray<Where> = [
    ...(selected.length > 0 ? [condition(selected)] : []),
    ...(excluded.length > 0 ? [{ op: "not", condition: condition(excluded) } as const] : [])
  ]
  return conditions.length === 1 ? conditions[0] : { op: "and", conditions }
}

const whereTrigger = (names: ReadonlyArray<string>): Where => {
  const kinds = names.filter((name) => name !== unknownTrigger).map((name) => name.replace(/^=/, ""))
  const known: Where = { op: "in", column: "trigger_kind", values: kinds }
  return names.includes(unknownTrigger)
    ? { op: "or", conditions: [known, { op: "isNull", column: "trigger_kind" }] }
    : known
}

const hasCode = (text: string): Where => ({
  op: "exists",
  table: "execution_code",
  local: "code_id",
  foreign: "id",
  where: { op: "contains", column: "code", value: text }
})

const hasText = (text: string): Where => {
  const contains = (...columns: ReadonlyArray<string>): ReadonlyArray<Where> =>
    columns.map((column) => ({ op: "contains", column, value: text }))
  const child = (table: string, ...columns: ReadonlyArray<string>): Where => ({
    op: "exists",
    table,
    local: "id",
    foreign: "execution_id",
    where: { op: "or", conditions: contains(...columns) }
  })
  return {
    op: "or",
    conditions: [
      hasCode(text),
      ...contains("error_text"),
      child("execution_output", "result_json"),
      child("execution_tool_call", "args_json", "result_json", "error_text")
    ]
  }
}

/** A whole namespace, which an execution has a row for as it has for a path. */
const isNamespace = (pattern: string): boolean => /^[^.*]+\.\*$/.test(pattern)

const isPattern = (pattern: string): boolean => pattern.includes("*")

const matcher = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replace(/[\\^$.+?()[\]{}|/]/g, "\\$&").replaceAll("*", "[^]*")}$`)

/** The names in `execution_tool` that patterns stand for. */
const whereTool = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  scopeId: ScopeId,
  patterns: ReadonlyArray<string> | undefined
): Effect.fn.Return<Where | undefined, DBError | ListOptionsInvalid> {
  if (patterns?.some((pattern) => pattern === "" || pattern === "!")) {
    return yield* new ListOptionsInvalid({
      option: "toolPathFilter",
      message: "toolPathFilter: expected a tool's path, or a pattern such as github.* or *.create, not an empty text."
    })
  }
  const isKnown = (pattern: string) => !isPattern(pattern) || isNamespace(pattern)
  const needsNames = patterns?.some((pattern) => !isKnown(pattern.replace(/^!/, ""))) ?? false
  const names = needsNames
    ? (yield* adapter.find({ table: "tool_name", select: ["tool"], where: eq("scope_id", scopeId) }))
        .map((row) => String(row["tool"]))
        .filter((name) => !isPattern(name))
    : []
  return choice(patterns, (chosen) => ({
    op: "exists",
    table: "execution_tool",
    local: "id",
    foreign: "execution_id",
    where: {
      op: "in",
      column: "tool",
      values: [
        ...new Set(
          chosen.flatMap((pattern) => {
            if (isKnown(pattern)) return [pattern]
            const matches = matcher(pattern)
            return names.filter((name) => matches.test(name))
          })
        )
      ]
    }
  }))
})
