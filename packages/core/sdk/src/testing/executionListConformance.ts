/**
 * What a list of executions must do over any adapter. Filters, order, pages and counts are compared with the same
 * things done by hand on the executions that were written.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as fc from "fast-check"
import type { ExecutionSort, ListExecutionsOptions } from "../ExecutionList.ts"
import type { ExecutionStore } from "../ExecutionStore.ts"
import { ExecutionId, ExecutionInteractionId, ExecutionToolCallId, ScopeId } from "../Ids.ts"
import { ExecutionStatus } from "../Status.ts"
import { anyFilters, sorts } from "./anyFilters.ts"
import { checkProperty } from "./checkProperty.ts"

type Store = ExecutionStore["Service"]

/** An execution to write, in the few things that lists look at. */
interface Sample {
  readonly id: string
  readonly status: ExecutionStatus
  readonly triggerKind: string | null
  readonly client: string | null
  readonly createdAt: number
  readonly durationMs: number | null
  readonly code: string
  readonly tools: ReadonlyArray<string>
  readonly asked: boolean
}

const statuses = ExecutionStatus.literals
const codes = ["return 1", "RETURN 100%", "a_b\\c", "'; drop table execution --", ""]
const tools = ["github.issues.create", "github.issues", "github.issuesx.list", "github.ping", "githubber.x", "ping"]
const patterns = [
  "github.*",
  "github.issues.*",
  "github.issues",
  "ping",
  "ping.*",
  "*.ping",
  "*",
  "git*.x",
  "*issues*",
  "none.*",
  "!github.*",
  "!ping",
  "!*.create"
]

const anySample: fc.Arbitrary<Omit<Sample, "id">> = fc.record({
  status: fc.constantFrom(...statuses),
  triggerKind: fc.constantFrom("cli", "http", "constructor", "unknown", "a,b", "!cli", "=x", null),
  client: fc.constantFrom("inspector", "__proto__", null),
  createdAt: fc.constantFrom(0, 1, 1000, 1001, 60_000, 3_599_999, 3_600_000, 86_399_999, 86_400_000, 200_000_000),
  durationMs: fc.constantFrom(0, 5, 5, 9, 100, 5_000, null),
  code: fc.constantFrom(...codes),
  tools: fc.array(fc.constantFrom(...tools), { maxLength: 3 }),
  asked: fc.boolean()
})
const anySamples = fc
  .array(anySample, { maxLength: 12 })
  .map((samples) => samples.map((sample, i): Sample => ({ ...sample, id: String.fromCharCode(97 + i) })))

const anyListFilters = anyFilters({
  triggers: ["cli", "http", "constructor", "unknown", "=unknown", "a,b", "=!cli", "==x", "!http", "!unknown"],
  tools: patterns,
  times: [0, 1, 1000, 1001, 60_000, 3_600_000, 7_000_000, 86_400_000, 100_000_000, 300_000_000],
  codes: ["RETURN", "return 1", "%", "_", "\\", "drop TABLE", ""],
  queries: ["RETURN", "100%", "a_b", "'; drop", "issues", "nowhere"]
})

/** Whether a path matches a pattern, by trying each place where the text of a star may end. */
const matches = (path: string, pattern: string): boolean => {
  if (pattern === "") return path === ""
  if (pattern.startsWith("*")) {
    return Array.from({ length: path.length + 1 }, (_, i) => path.slice(i)).some((rest) =>
      matches(rest, pattern.slice(1))
    )
  }
  return path.startsWith(pattern.charAt(0)) && matches(path.slice(1), pattern.slice(1))
}

/** Whether the values of a filter select: one of them if there are any, and none of those after an exclamation mark. */
const chosen = (values: ReadonlyArray<string> | undefined, holds: (value: string) => boolean): boolean => {
  const selected = values?.filter((value) => !value.startsWith("!")) ?? []
  const excluded = values?.filter((value) => value.startsWith("!")) ?? []
  return (selected.length === 0 || selected.some(holds)) && !excluded.some((value) => holds(value.slice(1)))
}

const triggerName = (kind: string | null) =>
  kind === null ? "unknown" : kind === "unknown" || kind.startsWith("!") || kind.startsWith("=") ? `=${kind}` : kind

const hasTrigger = (kind: string | null, name: string) =>
  name === "unknown" ? kind === null : kind === (name.startsWith("=") ? name.slice(1) : name)

/** What `query` looks into: the samples' code, and the arguments of their calls. */
const searched = ({ code, tools }: Sample) => [code, ...tools.map(argsOf)]

const argsOf = (toolPath: string) => JSON.stringify({ of: toolPath })

const selects = (options: ListExecutionsOptions, sample: Sample): boolean => {
  const { after, codeQuery, hadElicitation, query, statusFilter, timeRange, toolPathFilter, triggerFilter } = options
  const contains = (text: string, part = "") => text.toLowerCase().includes(part.toLowerCase())
  return (
    chosen(statusFilter, (status) => sample.status === status) &&
    chosen(triggerFilter, (name) => hasTrigger(sample.triggerKind, name)) &&
    chosen(toolPathFilter, (pattern) => sample.tools.some((path) => matches(path, pattern))) &&
    sample.createdAt >= (timeRange?.from ?? 0) &&
    sample.createdAt < (timeRange?.to ?? Infinity) &&
    sample.createdAt > (after ?? -1) &&
    contains(sample.code, codeQuery) &&
    (query === undefined || searched(sample).some((text) => contains(text, query))) &&
    (hadElicitation === undefined || hadElicitation === sample.asked)
  )
}

const inOrder = (samples: ReadonlyArray<Sample>, { direction, field }: ExecutionSort): ReadonlyArray<Sample> => {
  const sign = direction === "asc" ? 1 : -1
  const rank = (sample: Sample) => sample[field] ?? sign * Infinity
  return samples.toSorted((a, b) => {
    const [left, right] = [rank(a), rank(b)]
    return left === right ? sign * (a.id < b.id ? -1 : 1) : sign * (left < right ? -1 : 1)
  })
}

const idsOf = (samples: ReadonlyArray<Sample>) => samples.map(({ asked, id }) => `${id}${asked ? "?" : ""}`).join("")

const write = Effect.fnUntraced(function* (store: Store, scopeId: ScopeId, samples: ReadonlyArray<Sample>) {
  for (const sample of samples) {
    const id = ExecutionId.make(`${scopeId}-${sample.id}`)
    const { client, code, createdAt, status, triggerKind } = sample
    const triggerMetaJson = client === null ? null : JSON.stringify({ client: { name: client } })
    yield* store.create({ id, scopeId, status, code, triggerKind, triggerMetaJson, createdAt })
    yield* store.update(scopeId, id, { durationMs: sample.durationMs })
    for (const [seq, toolPath] of sample.tools.entries()) {
      const call = { id: ExecutionToolCallId.make(`${id}:${seq}`), executionId: id, scopeId, seq }
      yield* store.recordToolCall({ ...call, toolPath, argsJson: argsOf(toolPath), startedAt: 0 })
    }
    if (sample.asked) {
      const question = { kind: "form", purpose: "tool_input", payloadJson: "{}", toolCallId: null } as const
      yield* store.recordInteraction({ id: ExecutionInteractionId.make(id), executionId: id, scopeId, ...question })
    }
  }
})

/** All pages of a list, as one text of ids, with a question mark after those that wait for an answer. */
const allPages = Effect.fnUntraced(function* (store: Store, scopeId: ScopeId, options: ListExecutionsOptions) {
  let ids = ""
  let cursor: string | undefined
  do {
    const page = yield* store.list(scopeId, { ...options, ...(cursor !== undefined && { cursor }) })
    for (const { execution, pendingInteraction } of page.executions) {
      ids += execution.id.slice(scopeId.length + 1)
      if (pendingInteraction !== null) ids += pendingInteraction.executionId === execution.id ? "?" : "!"
    }
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return ids
})

const without = (options: ListExecutionsOptions, name: keyof ListExecutionsOptions): ListExecutionsOptions => {
  const { [name]: _, ...rest } = options
  return rest
}

const counted = (keys: ReadonlyArray<string>): Record<string, number> => {
  const counts = new Map<string, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return Object.fromEntries(counts)
}

/** Declares the tests of lists over a store. */
export const executionListConformance = (name: string, makeStore: Effect.Effect<Store, unknown, Scope.Scope>): void => {
  describe(`${name}: lists`, () => {
    it.effect(
      "select, order, page and count as is done by hand",
      () =>
        Effect.gen(function* () {
          const store = yield* makeStore
          let scopes = 0
          const lists = fc.record({
            samples: anySamples,
            others: fc.array(anySample, { maxLength: 2 }),
            filters: fc.array(anyListFilters, { minLength: 1, maxLength: 4 }),
            sort: fc.constantFrom(...sorts),
            limit: fc.integer({ min: 1, max: 5 })
          })
          yield* checkProperty(lists, 100, ({ filters, limit, others, samples, sort }) =>
            Effect.gen(function* () {
              // A scope for each case, with a neighbour whose executions must not show.
              const scopeId = ScopeId.make(`s${scopes++}`)
              yield* write(store, scopeId, samples)
              yield* write(
                store,
                ScopeId.make(`s${scopes++}`),
                others.map((other, i) => ({ ...other, id: `${i}` }))
              )
              for (const options of filters) {
                const expected = idsOf(
                  inOrder(
                    samples.filter((sample) => selects(options, sample)),
                    sort
                  )
                )
                expect(yield* allPages(store, scopeId, { ...options, sort, limit })).toBe(expected)
                const { meta } = yield* store.list(scopeId, { ...options, includeMeta: true })
                checkMeta(meta, options, samples)
              }
            })
          )
        }),
      60_000
    )

    it.effect("are the newest 25 by default", () =>
      Effect.gen(function* () {
        const store = yield* makeStore
        const scopeId = ScopeId.make("a")
        const sample = {
          status: "running",
          triggerKind: null,
          client: null,
          durationMs: null,
          code: "",
          tools: [],
          asked: false
        } as const
        yield* write(
          store,
          scopeId,
          Array.from({ length: 27 }, (_, i) => ({ ...sample, id: String(i), createdAt: i }))
        )
        const page = yield* store.list(scopeId)
        expect(page.executions.map(({ execution }) => execution.createdAt)).toEqual(
          Array.from({ length: 25 }, (_, i) => 26 - i)
        )
        expect(page.meta).toBeUndefined()
        expect(yield* store.list(scopeId, { cursor: undefined, statusFilter: undefined, sort: undefined })).toEqual(
          page
        )
        const rest = yield* store.list(scopeId, { ...(page.nextCursor && { cursor: page.nextCursor }) })
        expect(rest.executions.map(({ execution }) => execution.createdAt)).toEqual([1, 0])
        expect(rest.nextCursor).toBeUndefined()
      })
    )

    it.effect("have a timeline of at most 40 buckets, empty ones included", () =>
      Effect.gen(function* () {
        const store = yield* makeStore
        const scopeId = ScopeId.make("a")
        const timeline = (from: number, to: number) =>
          Effect.map(store.list(scopeId, { includeMeta: true, timeRange: { from, to } }), ({ meta }) => [
            meta?.chartBucketMs,
            meta?.chartData.length,
            meta?.chartData[0]?.bucketStart,
            meta?.chartData.at(-1)?.bucketStart
          ])
        const day = 86_400_000
        expect(yield* timeline(0, 40_000)).toEqual([1_000, 40, 0, 39_000])
        expect(yield* timeline(0, 40_001)).toEqual([5_000, 9, 0, 40_000])
        expect(yield* timeline(7_199_999, day)).toEqual([3_600_000, 23, 3_600_000, 82_800_000])
        expect(yield* timeline(0, 364 * day * 400)).toEqual([364 * day * 11, 37, 0, 364 * day * 396])
        expect(yield* timeline(5, 5)).toEqual([1_000, 0, undefined, undefined])
      })
    )

    it.effect("name the option that is not valid", () =>
      Effect.gen(function* () {
        const store = yield* makeStore
        const scopeId = ScopeId.make("a")
        const sample = {
          status: "running",
          triggerKind: null,
          client: null,
          durationMs: null,
          code: "",
          tools: [],
          asked: false
        } as const
        yield* write(
          store,
          scopeId,
          Array.from({ length: 2 }, (_, i) => ({ ...sample, id: String(i), createdAt: i }))
        )
        const cursor = (yield* store.list(scopeId, { limit: 1 })).nextCursor ?? ""
        const bad: ReadonlyArray<readonly [option: string, options: object]> = [
          ["limit", { limit: 0 }],
          ["limit", { limit: 101 }],
          ["limit", { limit: 1.5 }],
          ["statusFilter", { statusFilter: ["done"] }],
          ["triggerFilter", { triggerFilter: Array.from({ length: 101 }, String) }],
          ["toolPathFilter", { toolPathFilter: ["!"] }],
          ["query", { query: "ab" }],
          ["toolPathFilter", { toolPathFilter: [""] }],
          ["timeRange", { timeRange: { from: 2, to: 1 } }],
          ["timeRange", { timeRange: { since: 2 } }],
          ["sort", { sort: { field: "code", direction: "asc" } }],
          ["filter", { filter: "x" }],
          ["cursor", { cursor: "" }],
          ["cursor", { cursor: "bm90IGEgY3Vyc29y" }],
          ["cursor", { cursor: `${cursor}AA` }],
          ["cursor", { cursor, statusFilter: ["running"] }],
          ["cursor", { cursor, timeRange: { from: 0 } }],
          ["cursor", { cursor, sort: { field: "createdAt", direction: "asc" } }],
          ["cursor", { cursor, sort: { field: "durationMs", direction: "desc" } }]
        ]
        for (const [option, options] of bad) {
          const error = yield* Effect.flip(store.list(scopeId, options))
          expect(error).toMatchObject({ _tag: "ListOptionsInvalid", option })
          expect(error.message).toContain(option)
        }
      })
    )
  })
}

const hasEnded = ({ status }: Sample) => status === "completed" || status === "failed" || status === "cancelled"

type Meta = NonNullable<Effect.Success<ReturnType<Store["list"]>>["meta"]>

const checkMeta = (meta: Meta | undefined, options: ListExecutionsOptions, samples: ReadonlyArray<Sample>): void => {
  const selected = (ignored: keyof ListExecutionsOptions) =>
    samples.filter((sample) => selects(without(options, ignored), sample))
  const filtered = samples.filter((sample) => selects(options, sample))
  const calls = selected("toolPathFilter").flatMap((sample) => [...new Set(sample.tools)])
  const asked = selected("hadElicitation").filter((sample) => sample.asked).length
  expect(meta).toMatchObject({
    totalRowCount: samples.length,
    filterRowCount: filtered.length,
    statusCounts: {
      ...Object.fromEntries(statuses.map((status) => [status, 0])),
      ...counted(selected("statusFilter").map(({ status }) => status))
    },
    triggerCounts: counted(selected("triggerFilter").map(({ triggerKind }) => triggerName(triggerKind))),
    interactionCounts: { withElicitation: asked, withoutElicitation: selected("hadElicitation").length - asked },
    toolCallCounts: { total: filtered.flatMap((sample) => (hasEnded(sample) ? sample.tools : [])).length }
  })
  expect(Object.fromEntries((meta?.clientFacets ?? []).map(({ client, count }) => [client, count]))).toEqual(
    counted(filtered.flatMap(({ client }) => client ?? []))
  )
  const namespaces = selected("toolPathFilter").flatMap(({ tools }) => [
    ...new Set(tools.flatMap((path) => (path.includes(".") ? [path.split(".")[0] ?? ""] : [])))
  ])
  expect(Object.fromEntries((meta?.namespaceFacets ?? []).map(({ count, namespace }) => [namespace, count]))).toEqual(
    counted(namespaces)
  )
  expect(Object.fromEntries((meta?.toolFacets ?? []).map(({ count, toolPath }) => [toolPath, count]))).toEqual(
    counted(calls)
  )
  const { chartBucketMs = 1, chartData = [] } = meta ?? {}
  expect(chartData.length).toBeLessThanOrEqual(40)
  for (const [index, { bucketStart, counts, p50DurationMs, p95DurationMs }] of chartData.entries()) {
    if (index > 0) expect(bucketStart - (chartData[index - 1]?.bucketStart ?? 0)).toBe(chartBucketMs)
    const inBucket = filtered.filter(
      ({ createdAt }) => Math.floor(createdAt / chartBucketMs) * chartBucketMs === bucketStart
    )
    const durations = inBucket.flatMap(({ durationMs }) => durationMs ?? []).toSorted((a, b) => a - b)
    for (const [share, given] of [
      [0.5, p50DurationMs],
      [0.95, p95DurationMs]
    ] as const) {
      const exact = durations[Math.ceil(share * durations.length) - 1] ?? null
      if (exact === null || exact < 16) expect(given).toBe(exact)
      else {
        expect(given).toBeGreaterThanOrEqual(exact)
        expect(given).toBeLessThanOrEqual(exact * 1.125)
      }
    }
    for (const status of statuses) {
      expect(counts[status]).toBe(inBucket.filter((sample) => sample.status === status).length)
    }
  }
  const total = chartData.flatMap(({ counts }) => Object.values(counts)).reduce((sum, count) => sum + count, 0)
  expect(total).toBe(filtered.length)
}
