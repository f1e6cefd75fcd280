/**
 * Whether a database that was filled is what the store would have written: the same executions are written both ways, and all rows
 * and lists with their counts must be the same.
 */
import { coreSchema, type DBAdapter, DBExecutionStore, type ListExecutionsOptions, type Row } from "@executor/sdk"
import { Clock, Effect } from "effect"
import { isDeepStrictEqual } from "node:util"
import { type GeneratedExecution, historyEnd, scopeId } from "./History.ts"

type Adapter = DBAdapter["Service"]

/** Writes executions as the engine would, each at its time. */
export const writeThrough = Effect.fnUntraced(function* (adapter: Adapter, executions: Iterable<GeneratedExecution>) {
  const store = DBExecutionStore.make(adapter)
  const real = yield* Clock.Clock
  const at = <A, E>(time: number, effect: Effect.Effect<A, E>) =>
    Effect.provideService(effect, Clock.Clock, {
      ...real,
      currentTimeMillis: Effect.succeed(time),
      currentTimeMillisUnsafe: () => time,
      sleep: (duration) => real.sleep(duration)
    })
  for (const { calls, create, end, question } of executions) {
    yield* at(create.createdAt, store.create(create))
    for (const { finish, record } of calls) {
      yield* at(record.startedAt, store.recordToolCall(record))
      const asks = question?.record.toolCallId === record.id
      if (asks) yield* at(question.at, store.recordInteraction(question.record))
      const { answer } = asks ? question : {}
      if (answer !== undefined) {
        yield* at(answer.at, store.resolveInteraction(scopeId, question!.record.id, answer.resolution))
      }
      if (finish !== undefined) yield* at(finish.completedAt, store.finishToolCall(scopeId, record.id, finish))
    }
    yield* at(end.at, store.update(scopeId, create.id, end.changes))
  }
})

const lists: ReadonlyArray<ListExecutionsOptions> = [
  {},
  { timeRange: { from: historyEnd - 86_400_000, to: historyEnd } },
  { statusFilter: ["failed", "cancelled"] },
  { statusFilter: ["running", "waiting_for_interaction"] },
  { triggerFilter: ["mcp"], sort: { field: "durationMs", direction: "desc" } },
  { toolPathFilter: ["github.*"] },
  { toolPathFilter: ["*.list"], timeRange: { from: historyEnd - 20 * 86_400_000 } },
  { hadElicitation: true },
  { codeQuery: "limit" }
]

const contents = Effect.fnUntraced(function* (adapter: Adapter) {
  // First: Postgres counts what was noted for the rollups when they are read for a list.
  const store = DBExecutionStore.make(adapter)
  const pages = yield* Effect.forEach(lists, (options) =>
    store.list(scopeId, { ...options, limit: 100, includeMeta: true })
  )
  const rows: Array<readonly [table: string, row: Row]> = []
  for (const [table, { primaryKey }] of Object.entries(coreSchema)) {
    // What is counted has ids that the database makes, other ones with each order of writing: the lists show it.
    if (/rollup|tool_set/.test(table)) continue
    const orderBy = primaryKey.map((column) => ({ column, direction: "asc" as const }))
    for (const row of yield* adapter.find({ table, orderBy })) rows.push([table, row])
  }
  return { rows, pages }
})

/** Fails if they differ; gives the number of rows. */
export const checkEqual = Effect.fnUntraced(function* (filled: Adapter, stored: Adapter) {
  const actual = yield* contents(filled)
  const expected = yield* contents(stored)
  const index = expected.rows.findIndex((row, i) => !isDeepStrictEqual(row, actual.rows[i]))
  if (index !== -1 || actual.rows.length !== expected.rows.length) {
    const show = (row: unknown) => JSON.stringify(row, undefined, 2)
    throw new Error(
      `The generator wrote another row than the store:\n${show(actual.rows[index])}\ninstead of\n${show(expected.rows[index])}`
    )
  }
  for (const [i, page] of expected.pages.entries()) {
    if (!isDeepStrictEqual(page, actual.pages[i])) {
      throw new Error(`The list ${JSON.stringify(lists[i])} is another one than with the store's rows.`)
    }
  }
  return expected.rows.length
})
