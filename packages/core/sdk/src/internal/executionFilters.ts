/**
 * The filters of a list of executions, each as a condition of its own, so that the counts of a facet can leave out the
 * facet's own filter.
 */
import { Effect } from "effect"
import { coreSchema } from "../CoreSchema.ts"
import type { DBAdapter, DBError, Where } from "../DBAdapter.ts"
import type { ScopeId } from "../Ids.ts"
import { type ListExecutionsOptions } from "../ExecutionList.ts"
import { ListOptionsInvalid } from "../ExecutionStore.ts"
import { ExecutionStatus } from "../Status.ts"
import { eq } from "./executionRows.ts"

/** What `triggerFilter` and `triggerCounts` call executions that recorded no trigger. */
const unknownTrigger = "unknown"

/** A trigger kind as `triggerFilter` takes it. */
export const triggerName = (kind: string | null): string =>
  kind === null ? unknownTrigger : kind === unknownTrigger || /^[=!]/.test(kind) ? `=${kind}` : kind

/** No filter: every execution of the scope. */
export const noFilters = (scopeId: ScopeId): Filters => ({
  scopeId,
  accepts: { status: () => true, trigger: () => true, asked: () => true }
})

/** One condition for each filter that is set. */
export interface Filters {
  readonly scopeId: ScopeId
  /** Created at or after this time, and before that one. */
  readonly from?: number | undefined
  readonly to?: number | undefined
  readonly status?: Where | undefined
  readonly trigger?: Where | undefined
  readonly tool?: Where | undefined
  /** The names in `execution_tool` that `tool` asks for: one of those selected, if any are, and none of those excluded. */
  readonly tools?:
    | { readonly selected?: ReadonlyArray<string> | undefined; readonly excluded: ReadonlyArray<string> }
    | undefined
  /** Whether an execution with such a property is under the filter of it. */
  readonly accepts: {
    readonly status: (status: string) => boolean
    readonly trigger: (kind: string | null) => boolean
    readonly asked: (asked: boolean) => boolean
  }
  /** The values that a filter selects, where it is the same as to have one of them: each has a range of an index. */
  readonly values?: {
    readonly statuses?: ReadonlyArray<string> | undefined
    readonly triggers?: ReadonlyArray<string | null> | undefined
    readonly tools?: ReadonlyArray<string> | undefined
  }
  readonly code?: Where | undefined
  readonly query?: Where | undefined
  /** The conditions of `code` and `query` by themselves, for a few rows that are known: no index of text is asked. */
  readonly searches?: ReadonlyArray<Where> | undefined
  readonly elicitation?: Where | undefined
}

const present = (...conditions: ReadonlyArray<Where | undefined>): ReadonlyArray<Where> =>
  conditions.filter((condition) => condition !== undefined)

/** The conditions of a range of times. */
export const between = (
  column: string,
  { from, to }: { readonly from?: number | undefined; readonly to?: number | undefined }
): ReadonlyArray<Where> =>
  present(
    from === undefined ? undefined : { op: "gte", column, value: from },
    to === undefined ? undefined : { op: "lt", column, value: to }
  )

/** The conditions on what rollups count executions by. */
export const whereCounted = ({ elicitation, status, trigger }: Filters): ReadonlyArray<Where> =>
  present(status, trigger, elicitation)

/** The condition of an execution under all filters. */
export const whereExecution = (filters: Filters): Where => ({
  op: "and",
  conditions: [
    eq("scope_id", filters.scopeId),
    ...between("created_at", filters),
    ...whereCounted(filters),
    ...present(filters.tool, filters.code, filters.query)
  ]
})

const whereAsked = (asked: boolean): Where => ({ op: asked ? "isNotNull" : "isNull", column: "asked_at" })

/** The table and the condition that lead to executions of one tool, under the other filters, in the order of creation. */
export const executionsOfTool = (filters: Filters, tool: string): { readonly table: string; readonly where: Where } => {
  const others = [...whereCounted(filters), ...present(filters.code, filters.query)]
  const ofExecution: Where = {
    op: "exists",
    table: "execution",
    local: "execution_id",
    foreign: "id",
    where: { op: "and", conditions: others }
  }
  return {
    table: "execution_tool",
    where: {
      op: "and",
      conditions: [
        eq("scope_id", filters.scopeId),
        eq("tool", tool),
        ...between("created_at", filters),
        ...(others.length > 0 ? [ofExecution] : [])
      ]
    }
  }
}

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
  const tools = yield* toolNames(adapter, scopeId, options.toolPathFilter)
  const lower = Math.max(from ?? -Infinity, options.after === undefined ? -Infinity : options.after + 1)
  return {
    scopeId,
    from: lower === -Infinity ? undefined : lower,
    to,
    status: choice(options.statusFilter, (values) => ({ op: "in", column: "status", values })),
    trigger: choice(options.triggerFilter, whereTrigger),
    tool: choice(options.toolPathFilter, (patterns) => whereTool(tools(patterns))),
    tools: toolChoice(options.toolPathFilter, tools),
    accepts: {
      status: accepts(options.statusFilter, (status) => status),
      trigger: accepts(options.triggerFilter, triggerKind),
      asked: (asked) => options.hadElicitation === undefined || options.hadElicitation === asked
    },
    values: {
      statuses: selectedStatuses(options.statusFilter),
      triggers: selectedTriggers(options.triggerFilter),
      tools: onlySelected(options.toolPathFilter) && tools(options.toolPathFilter ?? [])
    },
    code: options.codeQuery ? hasCode(options.codeQuery) : undefined,
    query: options.query === undefined ? undefined : hasText(options.query),
    searches: present(
      options.codeQuery ? hasCode(options.codeQuery, alone) : undefined,
      options.query === undefined ? undefined : hasText(options.query, alone)
    ),
    elicitation: options.hadElicitation === undefined ? undefined : whereAsked(options.hadElicitation)
  }
})

/** Splits the values of a filter into those to select and those to exclude. */
const split = (values: ReadonlyArray<string>) => ({
  selected: values.filter((value) => !value.startsWith("!")),
  excluded: values.filter((value) => value.startsWith("!")).map((value) => value.slice(1))
})

const accepts = <A>(
  values: ReadonlyArray<string> | undefined,
  meaning: (value: string) => A
): ((actual: A) => boolean) => {
  const { excluded, selected } = split(values ?? [])
  const [chosen, refused] = [selected.map(meaning), excluded.map(meaning)]
  return (actual) => (chosen.length === 0 || chosen.includes(actual)) && !refused.includes(actual)
}

const onlySelected = (values: ReadonlyArray<string> | undefined): ReadonlyArray<string> | undefined =>
  values === undefined || values.length === 0 || split(values).excluded.length > 0 ? undefined : values

/** All statuses are known, so that to exclude some is to select the others. */
const selectedStatuses = (values: ReadonlyArray<string> | undefined): ReadonlyArray<string> | undefined => {
  if (values === undefined || values.length === 0) return undefined
  const { excluded, selected } = split(values)
  return ExecutionStatus.literals.filter(
    (status) => (selected.length === 0 || selected.includes(status)) && !excluded.includes(status)
  )
}

const selectedTriggers = (values: ReadonlyArray<string> | undefined): ReadonlyArray<string | null> | undefined =>
  onlySelected(values) && [...new Set(values?.map(triggerKind))]

const triggerKind = (name: string): string | null => (name === unknownTrigger ? null : name.replace(/^=/, ""))

const toolChoice = (
  values: ReadonlyArray<string> | undefined,
  names: (patterns: ReadonlyArray<string>) => ReadonlyArray<string>
): Filters["tools"] => {
  if (values === undefined || values.length === 0) return undefined
  const { excluded, selected } = split(values)
  return { selected: selected.length > 0 ? names(selected) : undefined, excluded: names(excluded) }
}

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
  const kinds = names.map(triggerKind).filter((kind) => kind !== null)
  const known: Where = { op: "in", column: "trigger_kind", values: kinds }
  return names.includes(unknownTrigger)
    ? { op: "or", conditions: [known, { op: "isNull", column: "trigger_kind" }] }
    : known
}

/** How a text is looked for in the columns of a table. */
type Search = (text: string, condition: Where) => Where

const narrowed: Search = (text, condition) => ({
  op: "and",
  conditions: [{ op: "mayContain", value: text }, condition]
})

const alone: Search = (_text, condition) => condition

const hasCode = (text: string, search: Search = narrowed): Where => ({
  op: "exists",
  table: "execution_code",
  local: "code_id",
  foreign: "id",
  where: search(text, { op: "contains", column: "code", value: text })
})

/** The code, and what `coreSchema` calls the text of an execution. */
const hasText = (text: string, search: Search = narrowed): Where => {
  const contains = (columns: ReadonlyArray<string>): Where => ({
    op: "or",
    conditions: columns.map((column) => ({ op: "contains", column, value: text }))
  })
  const places = coreSchema.execution.text.map((place): Where =>
    "of" in place ? { op: "exists", ...place.of, where: contains(place.columns) } : contains(place.columns)
  )
  return { op: "or", conditions: [hasCode(text, search), search(text, { op: "or", conditions: places })] }
}

/** A whole namespace, which an execution has a row for as it has for a path. */
const isNamespace = (pattern: string): boolean => /^[^.*]+\.\*$/.test(pattern)

const isPattern = (pattern: string): boolean => pattern.includes("*")

const matcher = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replace(/[\\^$.+?()[\]{}|/]/g, "\\$&").replaceAll("*", "[^]*")}$`)

const whereTool = (names: ReadonlyArray<string>): Where => ({
  op: "exists",
  table: "execution_tool",
  local: "id",
  foreign: "execution_id",
  where: { op: "in", column: "tool", values: names }
})

/** Gives the function from patterns to the names in `execution_tool` that they stand for. */
const toolNames = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  scopeId: ScopeId,
  filter: ReadonlyArray<string> | undefined
): Effect.fn.Return<(patterns: ReadonlyArray<string>) => ReadonlyArray<string>, DBError | ListOptionsInvalid> {
  if (filter?.some((pattern) => pattern === "" || pattern === "!")) {
    return yield* new ListOptionsInvalid({
      option: "toolPathFilter",
      message: "toolPathFilter: expected a tool's path, or a pattern such as github.* or *.create, not an empty text."
    })
  }
  const isKnown = (pattern: string) => !isPattern(pattern) || isNamespace(pattern)
  const needsNames = filter?.some((pattern) => !isKnown(pattern.replace(/^!/, ""))) ?? false
  const names = needsNames
    ? (yield* adapter.find({ table: "tool_name", select: ["tool"], where: eq("scope_id", scopeId) }))
        .map((row) => String(row["tool"]))
        .filter((name) => !isPattern(name))
    : []
  const matching = (pattern: string) => {
    const matches = matcher(pattern)
    return names.filter((name) => matches.test(name))
  }
  return (patterns) => [...new Set(patterns.flatMap((pattern) => (isKnown(pattern) ? [pattern] : matching(pattern))))]
})
