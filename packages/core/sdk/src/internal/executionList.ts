/**
 * A page of executions: options checked, filters and order carried to the database, one more query for the questions
 * that wait, and the counts where they are asked for.
 */
import { Effect, Hash, Schema, SchemaIssue } from "effect"
import type { DBAdapter, DBError } from "../DBAdapter.ts"
import { defaultListLimit, type ExecutionPage, type ExecutionSort, ListExecutionsOptions } from "../ExecutionList.ts"
import { ListOptionsInvalid } from "../ExecutionStore.ts"
import type { ScopeId } from "../Ids.ts"
import { decodeCursor, encodeCursor } from "./cursor.ts"
import { makeFilters } from "./executionFilters.ts"
import { findExecutions } from "./executionPage.ts"
import { listMeta } from "./executionListMeta.ts"
import { pendingInteractions } from "./interactionRows.ts"
import { atOnce, summaries } from "./executionRows.ts"

const newestFirst: ExecutionSort = { field: "createdAt", direction: "desc" }

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => (issue._tag === "UnexpectedKey" ? "There is no such option" : SchemaIssue.defaultLeafHook(issue))
})

/** Decodes options that may come from anywhere; the error names the option that is wrong. */
export const decodeOptions = <S extends Schema.Top & { readonly DecodingServices: never }>(schema: S) => {
  const decode = Schema.decodeUnknownEffect(schema, { onExcessProperty: "error" })
  return (options: unknown): Effect.Effect<S["Type"], ListOptionsInvalid> =>
    Effect.mapError(decode(options), ({ issue }) => {
      const [first] = formatIssue(issue).issues
      const path = (first?.path ?? []).map(String)
      return new ListOptionsInvalid({
        option: path[0] ?? "options",
        message: `${path.join(".") || "options"}: ${first?.message ?? "not valid"}.`
      })
    })
}

const decodeListOptions = decodeOptions(ListExecutionsOptions)

/** What tells the filters of one list from those of another, whatever their order. */
const keyOf = ({ cursor: _c, includeMeta: _m, limit: _l, sort: _s, ...filters }: ListExecutionsOptions): string => {
  const sorted = Object.entries(filters)
    .map(([name, value]) => [name, Array.isArray(value) ? value.toSorted() : value] as const)
    .filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0))
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
  return (Hash.string(JSON.stringify(sorted)) >>> 0).toString(36)
}

/** A page of the executions of a scope. */
export const listExecutions = Effect.fnUntraced(function* (
  adapter: DBAdapter["Service"],
  scopeId: ScopeId,
  input: ListExecutionsOptions
): Effect.fn.Return<ExecutionPage, DBError | ListOptionsInvalid> {
  const options = yield* decodeListOptions(input)
  const sort = options.sort ?? newestFirst
  const filterKey = keyOf(options)
  const position = options.cursor === undefined ? undefined : decodeCursor(sort, filterKey, options.cursor)
  if (position instanceof ListOptionsInvalid) return yield* position

  const filters = yield* makeFilters(adapter, scopeId, options)
  const limit = options.limit ?? defaultListLimit
  const { hasMore, rows } = yield* findExecutions(adapter, filters, sort, position, limit)
  const [executions, pending] = yield* Effect.all(
    [summaries(adapter, scopeId, rows), pendingInteractions(adapter, scopeId, rows)],
    atOnce
  )
  const last = executions.at(-1)
  return {
    executions: executions.map((execution) => ({ execution, pendingInteraction: pending.get(execution.id) ?? null })),
    ...(hasMore && last !== undefined && { nextCursor: encodeCursor(sort, filterKey, last) }),
    ...(options.includeMeta === true && { meta: yield* listMeta(adapter, filters) })
  }
})
