/**
 * What is measured of a history, through the store as a host uses it: each figure is a median of several rounds with other
 * parameters, after some that are not counted.
 */
import { type DBAdapter, DBExecutionStore, type ExecutionId, type ListExecutionsOptions } from "@executor/sdk"
import { Effect } from "effect"
import { median, time, timeWithLag } from "../Measure.ts"
import { writeThrough } from "./Check.ts"
import { lastDay, type Named, pairs, singles, someDays } from "./Filters.ts"
import { generate, scopeId } from "./History.ts"
import { needle } from "./Needles.ts"

/** A figure. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: "ms" | "KB" | "s"
  readonly aim?: number | undefined
  /** What it was worst under, and how many others miss the aim. */
  readonly note?: string | undefined
}

/** What a figure is measured on. */
export interface Subject {
  readonly adapter: DBAdapter["Service"]
  readonly executions: number
  readonly aimsAtWrites: boolean
  /** Bytes that executions take beside their payloads, in all. */
  readonly overheadBytes: () => Promise<number>
  /** Told of each query that was measured for itself. */
  readonly onQuery: (name: string, ms: number, options: ListExecutionsOptions) => void
}

/** Names of figures that are wanted; all if undefined. */
export type Wanted = ((name: string) => boolean) | undefined

/** A figure is measured for at most about this long. */
const budgetMillis = 2_000
const maxRounds = 25

/** The median of a few rounds; a single one where it takes long. */
const measured = async (run: (round: number) => Promise<unknown>, rounds = maxRounds): Promise<number> => {
  const first = await time(() => run(0))
  if (first > 5 * budgetMillis) return first
  const times: Array<number> = []
  const started = performance.now()
  for (let round = 1; round <= rounds; round++) {
    times.push(await time(() => run(round)))
    if (round >= 3 && performance.now() - started > budgetMillis) break
  }
  return median(times)
}

/** Positions and ids all over the history, found by going through it. */
interface Places {
  readonly cursors: ReadonlyArray<string>
  readonly ids: ReadonlyArray<ExecutionId>
  readonly waiting: ReadonlyArray<ExecutionId>
}

/** Measures all that is wanted, and gives each figure as it comes. */
export const measure = async (subject: Subject, wanted: Wanted, report: (figure: Figure) => void): Promise<void> => {
  const { adapter, executions } = subject
  const store = DBExecutionStore.make(adapter)
  const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect)
  const list = (options: ListExecutionsOptions) => run(store.list(scopeId, options))
  const isWanted = (name: string) => wanted?.(name) ?? true

  const figure = async (name: string, aim: number | undefined, value: () => Promise<number>) => {
    if (isWanted(name)) report({ name, aim, unit: "ms", value: await value() })
  }
  const page = (name: string, aim: number | undefined, options: (round: number) => ListExecutionsOptions) =>
    figure(name, aim, async () => {
      const ms = await measured((round) => list(options(round)))
      subject.onQuery(name, ms, options(1))
      return ms
    })
  const worst = async (
    name: string,
    aim: number,
    candidates: ReadonlyArray<Named>,
    options: (named: Named, round: number) => ListExecutionsOptions
  ) => {
    if (!isWanted(name)) return
    const figures: Array<readonly [ms: number, name: string]> = []
    for (const named of candidates) {
      const ms = await measured((round) => list(options(named, round)), 7)
      figures.push([ms, named.name])
      subject.onQuery(`${name}: ${named.name}`, ms, options(named, 1))
    }
    const [first] = figures.toSorted(([left], [right]) => right - left)
    const missed = figures.filter(([ms]) => ms > aim).length
    const rest =
      missed === 0 ? `median ${median(figures.map(([ms]) => ms)).toFixed(1)}` : `${missed} of ${figures.length} miss`
    report({ name, aim, unit: "ms", value: first![0], note: `${first![1]}; ${rest}` })
  }

  const { cursors, ids, waiting } = await findPlaces(list, executions)
  const someId = (round: number) => ids[(round * 7919) % ids.length]!
  const byId = (round: number) =>
    adapter.find({ table: "execution", where: { op: "eq", column: "id", value: someId(round) }, limit: 1 })
  await figure("baseline: one row by its id", undefined, () => measured((round) => run(byId(round)), 200))

  await page("newest page of 25", 2, () => ({}))
  await page("page deep inside", 2, (round) => ({ cursor: cursors[round % cursors.length]! }))
  await page("page by duration", undefined, (round) => ({
    sort: { field: "durationMs", direction: round % 2 === 0 ? "asc" : "desc" }
  }))
  await worst("page under one filter, worst", 5, singles, ({ options }) => options)
  await worst("page under two filters, worst", 5, pairs, ({ options }) => options)
  await worst("page by duration under one filter, worst", 5, singles, ({ options }) => ({
    ...options,
    sort: { field: "durationMs", direction: "desc" }
  }))
  await page("page under a tool glob and a time range", 10, (round) => ({
    toolPathFilter: [["*.create", "git*.list", "*search*"][round % 3]!],
    timeRange: someDays(round)
  }))
  await figure("get with pending interaction", 1, () =>
    measured((round) => run(store.get(scopeId, waiting[round % waiting.length] ?? someId(round))), 200)
  )
  await figure("tool calls of one execution", 1, () =>
    measured((round) => run(store.listToolCalls(scopeId, someId(round))), 200)
  )
  await page("meta, last 24 hours, no filter", 20, (round) => ({ includeMeta: true, timeRange: lastDay(round) }))
  await worst(
    "meta, last 24 hours, any filter, worst",
    20,
    singles.filter(({ options }) => options.timeRange === undefined && options.after === undefined),
    ({ options }, round) => ({ ...options, includeMeta: true, timeRange: lastDay(round) })
  )
  await page("meta, all time, no filter", 20, () => ({ includeMeta: true }))
  await worst("meta, all time, any filter, worst", 300, singles, ({ options }) => ({ ...options, includeMeta: true }))

  await page("search: rare text in code", 50, (round) => ({ codeQuery: needle.code(round % needle.count) }))
  await page("search: rare text in all", 50, (round) => ({ query: needle.code(round % needle.count) }))
  await page("search: rare text in arguments and results", 50, (round) => ({
    query: needle.call(round % needle.count)
  }))
  await page("search: text that is nowhere", 50, (round) => ({ query: `nowhere-${round}-at-all` }))
  await page("search: frequent text", undefined, () => ({ query: "invoice" }))
  await page("search: frequent text under failed and a day", undefined, (round) => ({
    query: "invoice",
    statusFilter: ["failed"],
    timeRange: someDays(round)
  }))
  await page("search: rare text, with meta", 300, (round) => ({
    query: needle.call(round % needle.count),
    includeMeta: true
  }))

  const name = "database size beyond payloads, an execution"
  if (isWanted(name)) {
    report({ name, unit: "KB", aim: 1.5, value: (await subject.overheadBytes()) / 1024 / executions })
  }
  await measureWrites(subject, figure)
}

/** Event loop lag while a list is asked for again and again, at the 99th percentile. */
export const lagDuring = async (subject: Subject, options: ListExecutionsOptions): Promise<number> => {
  const store = DBExecutionStore.make(subject.adapter)
  const { lagP99 } = await timeWithLag(async () => {
    const started = performance.now()
    while (performance.now() - started < budgetMillis) await Effect.runPromise(store.list(scopeId, options))
  })
  return lagP99
}

const findPlaces = async (
  list: (options: ListExecutionsOptions) => Promise<{
    readonly executions: ReadonlyArray<{ readonly execution: { readonly id: ExecutionId } }>
    readonly nextCursor?: string | undefined
  }>,
  executions: number
): Promise<Places> => {
  const cursors: Array<string> = []
  const ids: Array<ExecutionId> = []
  const pages = Math.floor(executions / 2 / 100)
  let cursor: string | undefined
  for (let number = 0; number < pages; number++) {
    const page = await list({ limit: 100, ...(cursor !== undefined && { cursor }) })
    cursor = page.nextCursor
    if (cursor === undefined) break
    if (number % Math.ceil(pages / 50) === 0 || number > pages - 5) {
      cursors.push(cursor)
      ids.push(...page.executions.map(({ execution }) => execution.id))
    }
  }
  const waiting = await list({ limit: 100, statusFilter: ["waiting_for_interaction"] })
  return { cursors: cursors.toReversed(), ids, waiting: waiting.executions.map(({ execution }) => execution.id) }
}

/** Executions that are written to measure writing. */
const writtenEach = 300

const measureWrites = async (
  { adapter, aimsAtWrites }: Subject,
  figure: (name: string, aim: number | undefined, value: () => Promise<number>) => Promise<void>
): Promise<void> => {
  const aim = (ms: number) => (aimsAtWrites ? ms : undefined)
  const seed = Date.now() % 1_000_000_000
  const fresh = [...generate(20 * writtenEach, seed, true)].filter(
    ({ calls, end, question }) => calls.length === 3 && question === undefined && end.changes.completedAt !== undefined
  )
  const next = () => {
    const execution = fresh.pop()
    if (execution === undefined) throw new Error("There are too few executions to write.")
    return execution
  }
  await figure("write of an execution with 3 tool calls", aim(1), () =>
    measured(() => Effect.runPromise(writeThrough(adapter, [next()])), writtenEach)
  )
  const store = DBExecutionStore.make(adapter)
  /** Milliseconds that the event loop is busy for each call, with so many executions at once. */
  const perCall = (concurrency: number) => async () => {
    const chosen = Array.from({ length: concurrency }, next)
    for (const { create } of chosen) await Effect.runPromise(store.create(create))
    const rounds = Math.ceil(600 / concurrency)
    const before = performance.eventLoopUtilization()
    await Promise.all(
      chosen.map(async ({ calls, create }) => {
        const { finish, record } = calls[0]!
        for (let seq = 0; seq < rounds; seq++) {
          const id = `${create.id}:${seq}` as typeof record.id
          await Effect.runPromise(store.recordToolCall({ ...record, id, seq }))
          if (finish !== undefined) await Effect.runPromise(store.finishToolCall(scopeId, id, finish))
        }
      })
    )
    return performance.eventLoopUtilization(before).active / (rounds * concurrency)
  }
  await figure("event loop for a recorded call, one after the other", aim(0.25), perCall(1))
  await figure("event loop for a recorded call, 16 at once", aim(0.25), perCall(16))
}
