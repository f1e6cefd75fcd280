/**
 * Export and import over any adapter: what goes out of one database and into another comes out of that one the same.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, type Scope, Stream } from "effect"
import * as fc from "fast-check"
import { type ArchiveRecord, csvLine } from "../ExecutionArchive.ts"
import { type ExecutionStore } from "../ExecutionStore.ts"
import { ExecutionId, ExecutionInteractionId, ExecutionToolCallId, ScopeId } from "../Ids.ts"
import { isTerminal } from "../Status.ts"
import { checkProperty } from "./checkProperty.ts"

type Store = ExecutionStore["Service"]
type MakeStore = Effect.Effect<Store, unknown, Scope.Scope>

const scope = ScopeId.make("a")

/** More characters than an export reads at a time. */
const large = "x".repeat(600_000)
const texts = ["", "a", "é😀\u0000\u2028", '"\\', "line\nline\r\n", "=1+1,2"]
const jsons = ["null", `{ "a" : "\\ud83d" }`, `"😀\\u0000"`, "[1e21, -0]", JSON.stringify(large)]

const call = fc.record({
  toolPath: fc.constantFrom("a.b", "a.c", "b.c.d", "lone"),
  args: fc.option(fc.constantFrom(...jsons), { nil: null }),
  outcome: fc.option(
    fc.record({
      status: fc.constantFrom("completed" as const, "failed" as const, "in_doubt" as const),
      resultJson: fc.option(fc.constantFrom(...jsons), { nil: null }),
      errorText: fc.option(fc.constantFrom(...texts), { nil: null })
    }),
    { nil: undefined }
  )
})

const execution = fc.record({
  status: fc.constantFrom("running" as const, "completed" as const, "failed" as const, "cancelled" as const),
  code: fc.constantFrom(...texts, large),
  triggerKind: fc.option(fc.constantFrom("cli", "unknown", "a,b"), { nil: null }),
  triggerMetaJson: fc.option(fc.constantFrom(`{"client":{"name":"c"}}`, "{}"), { nil: null }),
  createdAt: fc.constantFrom(-1, 0, 3_600_000, 1_700_000_000_000, 1_700_000_000_001),
  resultJson: fc.option(fc.constantFrom(...jsons), { nil: null }),
  logsJson: fc.option(fc.constantFrom("[]", ...jsons), { nil: null }),
  errorText: fc.option(fc.constantFrom(...texts), { nil: null }),
  durationMs: fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: null }),
  calls: fc.array(call, { maxLength: 4 }),
  answers: fc.array(fc.option(fc.constantFrom("resolved" as const, "cancelled" as const), { nil: undefined }), {
    maxLength: 2
  })
})
type ExecutionInput = typeof execution extends fc.Arbitrary<infer A> ? A : never

const write = Effect.fnUntraced(function* (store: Store, index: number, input: ExecutionInput) {
  const { answers, calls, code, createdAt, triggerKind, triggerMetaJson, ...end } = input
  // Ids in another order than creation.
  const id = ExecutionId.make(`e${(index * 7) % 10}-${index}`)
  yield* store.create({
    id,
    scopeId: scope,
    status: "running",
    code,
    createdAt,
    triggerKind,
    triggerMetaJson,
    seed: index
  })
  for (const [seq, { args, outcome, toolPath }] of calls.entries()) {
    const callId = ExecutionToolCallId.make(`${id}:${seq}`)
    yield* store.recordToolCall({
      id: callId,
      executionId: id,
      scopeId: scope,
      seq,
      toolPath,
      argsJson: args,
      startedAt: 1
    })
    if (outcome !== undefined)
      yield* store.finishToolCall(scope, callId, { ...outcome, settleSeq: seq, completedAt: 2, durationMs: 1 })
  }
  for (const [number, status] of answers.entries()) {
    const interactionId = ExecutionInteractionId.make(`${id}?${number}`)
    yield* store.recordInteraction({
      id: interactionId,
      executionId: id,
      scopeId: scope,
      toolCallId: null,
      kind: "approval",
      purpose: "tool_approval",
      payloadJson: `{"message": "Sure?"}`
    })
    if (status === undefined) continue
    yield* store.resolveInteraction(scope, interactionId, {
      status,
      responseJson: `{"action":"accept"}`,
      responsePrivateJson: `{"content":"secret"}`,
      resolvedBy: "cli"
    })
  }
  if (end.status !== "running") yield* store.update(scope, id, { ...end, completedAt: 5 })
})

const archiveOf = (store: Store) => Stream.runCollect(store.exportRecords(scope))

const listEnded = (store: Store) =>
  store.list(scope, { statusFilter: ["completed", "failed", "cancelled"], includeMeta: true })

/** The records of executions that have ended, with what belongs to them. */
const endedOnly = (records: ReadonlyArray<ArchiveRecord>) => {
  const ended = new Set(
    records.flatMap((record) => (record.type === "execution" && isTerminal(record.status) ? [record.id] : []))
  )
  return records.filter((record) => ended.has(record.type === "execution" ? record.id : record.executionId))
}

const importInUnits = Effect.fnUntraced(function* (store: Store, records: ReadonlyArray<ArchiveRecord>, unit: number) {
  const total = { executions: 0, existing: 0, interactions: 0, toolCalls: 0 }
  for (let start = 0; start < records.length; start += unit) {
    const result = yield* store.importRecords(scope, records.slice(start, start + unit))
    total.executions += result.executions
    total.existing += result.existing
    total.interactions += result.interactions
    total.toolCalls += result.toolCalls
  }
  return total
})

const count = (records: ReadonlyArray<ArchiveRecord>, type: ArchiveRecord["type"]) =>
  records.filter((record) => record.type === type).length

/** Declares the tests of export and import over an adapter. */
export const executionArchiveConformance = (name: string, makeStore: MakeStore): void => {
  /** What a database has of a history. It is another one than that of the next store, or the same and emptied. */
  const recorded = Effect.fnUntraced(function* (history: ReadonlyArray<ExecutionInput>) {
    const store = yield* makeStore
    for (const [index, input] of history.entries()) yield* write(store, index, input)
    return { exported: yield* archiveOf(store), listed: yield* listEnded(store) }
  }, Effect.scoped)

  describe(`${name}: export and import`, () => {
    it.effect("gives the same from the database that it was read into, also when reading was interrupted", () =>
      checkProperty(
        fc.record({
          history: fc.array(execution, { maxLength: 8 }),
          unit: fc.constantFrom(1, 2, 3, 100),
          interruptedAfter: fc.nat(20)
        }),
        15,
        ({ history, interruptedAfter, unit }) =>
          Effect.scoped(
            Effect.gen(function* () {
              const { exported, listed } = yield* recorded(history)
              expect(count(exported, "execution")).toBe(history.length)
              expect(JSON.stringify(exported)).not.toContain("secret")
              const records = endedOnly(exported)

              const second = yield* makeStore
              const early = yield* importInUnits(second, records.slice(0, interruptedAfter), unit)
              const rest = yield* importInUnits(second, records, unit)
              expect(yield* archiveOf(second)).toEqual(records)
              expect(rest.existing).toBe(early.executions)
              expect(early.executions + rest.executions).toBe(count(records, "execution"))
              expect(early.toolCalls + rest.toolCalls).toBe(count(records, "toolCall"))
              expect(early.interactions + rest.interactions).toBe(count(records, "interaction"))

              const again = yield* importInUnits(second, records, unit)
              expect(again).toEqual({
                executions: 0,
                existing: count(records, "execution"),
                interactions: 0,
                toolCalls: 0
              })
              expect(yield* archiveOf(second)).toEqual(records)
              const after = yield* listEnded(second)
              expect(after.executions).toEqual(listed.executions)
              const { statusCounts: _, totalRowCount: __, ...counts } = listed.meta ?? expect.fail()
              expect(after.meta).toMatchObject(counts)
            })
          )
      )
    )

    it.effect("goes from the oldest to the newest, over pages and ties", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const store = yield* makeStore
          for (let index = 0; index < 450; index++) {
            yield* store.create({
              id: ExecutionId.make(`e${String((index * 7) % 450).padStart(3, "0")}`),
              scopeId: scope,
              status: "completed",
              code: "1",
              createdAt: Math.floor(index / 60)
            })
          }
          const records = yield* archiveOf(store)
          const keys = records.map((record) => (record.type === "execution" ? [record.createdAt, record.id] : []))
          expect(keys.length).toBe(450)
          const sorted = keys.toSorted((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1))
          expect(keys).toEqual(sorted)
          const some = yield* Stream.runCollect(store.exportRecords(scope, { timeRange: { from: 2, to: 4 } }))
          expect(some.length).toBe(120)
        })
      )
    )

    it.effect("keeps to its scope, and writes nothing of a unit that it refuses", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const store = yield* makeStore
          const other = ScopeId.make("b")
          const input = {
            id: ExecutionId.make("e"),
            scopeId: scope,
            status: "completed",
            code: "1",
            createdAt: 5
          } as const
          yield* store.create(input)
          yield* store.create({ ...input, id: ExecutionId.make("open"), status: "running" })
          const records = yield* archiveOf(store)
          expect(yield* Stream.runCollect(store.exportRecords(other))).toEqual([])
          // The id is taken, in a scope that this one knows nothing of.
          const taken = yield* Effect.flip(store.importRecords(other, endedOnly(records)))
          expect(taken).toMatchObject({ _tag: "DBError", reason: "unique" })
          const fresh = endedOnly(records).map((record) => ({ ...record, id: ExecutionId.make("f") })) as typeof records
          const unfinished = yield* Effect.flip(store.importRecords(other, [...fresh, ...records]))
          expect(unfinished.message).toContain(`"open" has not ended`)
          expect(yield* Stream.runCollect(store.exportRecords(other))).toEqual([])
          yield* store.importRecords(other, fresh)
          expect(yield* Stream.runCollect(store.exportRecords(other))).toMatchObject([{ id: "f", scopeId: "b" }])
          const wrong = yield* Effect.flip(Stream.runDrain(store.exportRecords(scope, { query: "ab" })))
          expect(wrong).toMatchObject({ _tag: "ListOptionsInvalid", option: "query" })
        })
      )
    )

    it.effect("leaves an execution that goes on here alone", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const base: ExecutionInput = {
            status: "completed",
            code: "1",
            triggerKind: null,
            triggerMetaJson: null,
            createdAt: 0,
            resultJson: "1",
            logsJson: null,
            errorText: null,
            durationMs: 1,
            calls: [{ toolPath: "a.b", args: "1", outcome: undefined }],
            answers: [undefined]
          }
          const { exported } = yield* recorded([base])
          const store = yield* makeStore
          yield* write(store, 0, { ...base, status: "running", calls: [], answers: [] })
          const before = yield* archiveOf(store)
          const result = yield* store.importRecords(scope, exported)
          expect(result).toEqual({ executions: 0, existing: 1, interactions: 0, toolCalls: 0 })
          expect(yield* archiveOf(store)).toEqual(before)
        })
      )
    )

    it.effect("writes an execution as one line of a table that no spreadsheet takes for formulas", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const store = yield* makeStore
          yield* store.create({
            id: ExecutionId.make("e"),
            scopeId: scope,
            status: "completed",
            code: `=cmd("x"),\n2`,
            createdAt: 0,
            triggerKind: "cli"
          })
          const [record] = yield* archiveOf(store)
          expect(record?.type === "execution" && [...csvLine(record)].join("")).toBe(
            `"e","completed","cli","","1970-01-01T00:00:00.000Z","","","","0","0","","","'=cmd(""x""),\n2",""\r\n`
          )
        })
      )
    )
  })
}
