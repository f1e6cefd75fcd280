/**
 * Random histories: after any sequence of writes, changes, late calls, answers and sweeps, a store over an adapter gives
 * the pages and the counts that one over the memory adapter gives, which counts every row anew each time.
 */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import * as DBExecutionStore from "../DBExecutionStore.ts"
import type { ListExecutionsOptions } from "../ExecutionList.ts"
import type { ExecutionStore, UpdateExecution } from "../ExecutionStore.ts"
import { ExecutionId, ExecutionInteractionId, ExecutionToolCallId, ScopeId } from "../Ids.ts"
import * as MemoryAdapter from "../MemoryAdapter.ts"
import { ExecutionStatus, ToolCallStatus } from "../Status.ts"
import type { MakeAdapter } from "./adapterConformance.ts"
import { anyFilters, sorts } from "./anyFilters.ts"
import { checkProperty } from "./checkProperty.ts"

type Store = ExecutionStore["Service"]

/** How many random histories are tried; more by `EXECUTOR_PROPERTY_RUNS`. */
const runs = Number(globalThis.process?.env["EXECUTOR_PROPERTY_RUNS"] ?? 60)

const hour = 3_600_000
const times = [0, 1, hour - 1, hour, 5 * hour, 23 * hour, 24 * hour - 1, 24 * hour, 30 * hour, 50 * hour, 200 * hour]
const paths = ["github.issues.create", "github.issues.list", "githubber.x", "ping", "slack.post", "slack.create"]
const texts = [
  "return 1",
  "RETURN 100%",
  `{"a_b":"c\\\\d"}`,
  "'; drop table execution --",
  `{"title":"Grüße"}`,
  "",
  "a\u0000b\u0000\u0000cd",
  "İstanbul ΣΊΣΥΦΟΣ straße K\u212Aelvin",
  "😀😀 family 👩‍👧 end",
  "ab",
  `${"lorem ipsum ".repeat(40)}Needle${" dolor sit".repeat(40)}`,
  // So long that SQLite stores it compressed.
  `${"Längeres 😀 ".repeat(3_000)}needle a_b ISTANBUL${" dolor\u0000sit".repeat(3_000)}`
]

const anyChange: fc.Arbitrary<UpdateExecution> = fc.record(
  {
    status: fc.constantFrom(...ExecutionStatus.literals),
    durationMs: fc.option(fc.constantFrom(0, 3, 15, 16, 40, 5_000), { nil: null }),
    completedAt: fc.constantFrom(...times),
    errorText: fc.constantFrom(...texts),
    resultJson: fc.constantFrom(...texts),
    logsJson: fc.constantFrom(...texts)
  },
  { requiredKeys: [] }
)

const id = fc.constantFrom("a", "b", "c", "d", "e", "f")
const seq = fc.integer({ min: 0, max: 4 })

/** One step of a history. It may be refused, by both stores alike. */
type Step = (store: Store, scopeId: ScopeId) => Effect.Effect<unknown, unknown>

const named = (scopeId: ScopeId, id: string) => ExecutionId.make(`${scopeId}-${id}`)
const callId = (scopeId: ScopeId, id: string, seq: number) => ExecutionToolCallId.make(`${scopeId}-${id}:${seq}`)

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({
        id,
        status: fc.constantFrom(...ExecutionStatus.literals),
        code: fc.constantFrom(...texts),
        triggerKind: fc.constantFrom("cli", "mcp", "unknown", "a,b", "!cli", "=x", null),
        client: fc.constantFrom("inspector", "__proto__", null),
        createdAt: fc.constantFrom(...times)
      })
      .map(
        ({ client, id, ...execution }): Step =>
          (store, scopeId) =>
            store.create({
              ...execution,
              id: named(scopeId, id),
              scopeId,
              triggerMetaJson: client === null ? null : JSON.stringify({ client: { name: client } })
            })
      )
  },
  {
    weight: 4,
    arbitrary: fc.tuple(id, anyChange).map(
      ([id, change]): Step =>
        (store, scopeId) =>
          store.update(scopeId, named(scopeId, id), change)
    )
  },
  {
    weight: 4,
    arbitrary: fc
      .record({ id, seq, toolPath: fc.constantFrom(...paths), argsJson: fc.constantFrom(...texts, null) })
      .map(
        ({ argsJson, id, seq, toolPath }): Step =>
          (store, scopeId) =>
            store.recordToolCall({
              id: callId(scopeId, id, seq),
              executionId: named(scopeId, id),
              scopeId,
              seq,
              toolPath,
              argsJson,
              startedAt: 0
            })
      )
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ id, seq, status: fc.constantFrom(...ToolCallStatus.literals), text: fc.constantFrom(...texts) })
      .map(
        ({ id, seq, status, text }): Step =>
          (store, scopeId) =>
            store.finishToolCall(scopeId, callId(scopeId, id, seq), {
              status,
              settleSeq: null,
              completedAt: 1,
              durationMs: 1,
              ...(status === "failed" ? { errorText: text } : { resultJson: text })
            })
      )
  },
  {
    weight: 1,
    arbitrary: fc.tuple(id, seq).map(
      ([id, seq]): Step =>
        (store, scopeId) =>
          store.recordInteraction({
            id: ExecutionInteractionId.make(`${scopeId}-${id}-${seq}`),
            executionId: named(scopeId, id),
            scopeId,
            toolCallId: null,
            kind: "form",
            purpose: "tool_input",
            payloadJson: "{}"
          })
    )
  },
  {
    weight: 1,
    arbitrary: fc
      .record(
        { keepNewest: fc.nat(3), completedBefore: fc.constantFrom(...times), keepSize: fc.constantFrom(0, 10, 40) },
        { requiredKeys: [] }
      )
      .map(
        (options): Step =>
          (store, scopeId) =>
            store.sweep(scopeId, options)
      )
  }
)

const historyFilters = anyFilters({
  triggers: ["cli", "mcp", "unknown", "=unknown", "a,b", "=!cli", "!mcp", "!unknown"],
  tools: [
    "github.*",
    "slack.*",
    "ping",
    "*.create",
    "github.issues.*",
    "*",
    "*.none",
    "!github.*",
    "!ping",
    "slack.post"
  ],
  times: [...times, 2 * hour, 26 * hour, 48 * hour, 72 * hour],
  codes: ["RETURN", "%", "drop", "", "B\u0000", "needle", "STRA", "😀 f"],
  queries: [
    "RETURN",
    "100%",
    "a_b",
    "grüße",
    "title",
    "nowhere",
    "B\u0000\u0000C",
    `":"`,
    `:"C\\\\`,
    "'; D",
    "istanbul",
    "İSTANBUL",
    "Σίσυφος",
    "ΣΊΣΥΦΟΣ STRA",
    "sse",
    "ße k\u212A",
    "K\u212AE",
    "😀 ",
    "😀😀 F",
    "👧 END",
    "ipsum needle dolor",
    `${"IPSUM LOREM ".repeat(30)}ipsum`,
    `${"ipsum lorem ".repeat(60)}`
  ]
})

/** Declares the property of an adapter. */
export const historyProperties = (makeAdapter: MakeAdapter): void => {
  it.effect(
    "random histories",
    () =>
      Effect.gen(function* () {
        const store = DBExecutionStore.make(yield* makeAdapter)
        const model = DBExecutionStore.make(MemoryAdapter.make())
        let scopes = 0
        const histories = fc.record({
          steps: fc.array(anyStep, { minLength: 1, maxLength: 40 }),
          lists: fc.array(fc.tuple(historyFilters, fc.constantFrom(...sorts)), { minLength: 1, maxLength: 6 })
        })
        yield* checkProperty(histories, runs, ({ lists, steps }) =>
          Effect.gen(function* () {
            const scopeId = ScopeId.make(`h${scopes++}`)
            for (const step of steps) {
              const [mine, its] = [yield* Effect.exit(step(store, scopeId)), yield* Effect.exit(step(model, scopeId))]
              expect(mine._tag).toBe(its._tag)
            }
            for (const [filters, sort] of [[{}, sorts[0]] as const, ...lists]) {
              const options: ListExecutionsOptions = { ...filters, ...(sort && { sort }), limit: 3, includeMeta: true }
              expect(yield* store.list(scopeId, options)).toEqual(yield* model.list(scopeId, options))
            }
          }).pipe(Effect.provide(TestClock.layer()))
        )
      }),
    120_000 + runs * 200
  )
}
