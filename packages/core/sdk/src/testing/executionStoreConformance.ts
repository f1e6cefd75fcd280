/**
 * What the history must do over any adapter, as a suite of tests: writing, answering, sweeping, and that no scope sees
 * another's rows. Lists have a suite of their own beside it.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import * as DBExecutionStore from "../DBExecutionStore.ts"
import { codePreviewLength } from "../Execution.ts"
import { type ExecutionStore, maxPayloadBytes } from "../ExecutionStore.ts"
import { ExecutionId, ExecutionInteractionId, ExecutionToolCallId } from "../Ids.ts"
import type { MakeAdapter } from "./adapterConformance.ts"
import { historyProperties } from "./historyProperties.ts"
import { executionArchiveConformance } from "./executionArchiveConformance.ts"
import { leaseTests } from "./executionLeaseConformance.ts"
import { executionListConformance } from "./executionListConformance.ts"
import { scopeTests } from "./executionScopeConformance.ts"
import { sweepTests } from "./executionSweepConformance.ts"
import {
  accepted,
  callId,
  done,
  executionId,
  interactionId,
  newCall,
  newExecution,
  newInteraction,
  otherScope,
  scope
} from "./samples.ts"
import { tagOf } from "./tagOf.ts"

type Store = ExecutionStore["Service"]

/** Declares the tests of the history over an adapter. */
export const executionStoreConformance = (name: string, makeAdapter: MakeAdapter): void => {
  const makeStore = Effect.map(makeAdapter, DBExecutionStore.make)
  const test = (title: string, body: (store: Store) => Effect.Effect<void, unknown>) =>
    it.effect(title, () => Effect.scoped(Effect.flatMap(makeStore, body)))

  describe(`${name}: executions`, () => {
    executionTests(test)
  })
  describe(`${name}: scopes`, () => {
    scopeTests(test)
  })
  describe(`${name}: tool calls and interactions`, () => {
    childTests(test)
  })
  describe(`${name}: leases`, () => {
    leaseTests(test)
  })
  describe(`${name}: sweeping`, () => {
    sweepTests(test)
  })
  executionListConformance(name, makeStore)
  executionArchiveConformance(name, makeStore)
  describe(`${name}: like the memory adapter`, () => {
    historyProperties(makeAdapter)
  })
}

export type StoreTest = (title: string, body: (store: Store) => Effect.Effect<void, unknown>) => void

const executionTests = (test: StoreTest): void => {
  test("creates with what is given, and null, 0 or false for the rest", (store) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(5_000)
      const created = yield* store.create(
        newExecution({ triggerKind: "cli", triggerMetaJson: `{"user":  "é"}`, seed: 7 })
      )
      expect({ ...created }).toEqual({
        id: "e1",
        scopeId: "a",
        status: "running",
        code: "return 1",
        resultJson: null,
        errorText: null,
        logsJson: null,
        triggerKind: "cli",
        triggerMetaJson: `{"user":  "é"}`,
        toolCallCount: 0,
        interactionCount: 0,
        startedAt: null,
        completedAt: null,
        durationMs: null,
        createdAt: 5_000,
        updatedAt: 5_000,
        seed: 7,
        owner: null,
        leaseUntil: null,
        epoch: 0,
        journalComplete: true,
        parentExecutionId: null,
        idempotencyKey: null
      })
      expect(yield* store.get(scope, executionId)).toEqual({ execution: created, pendingInteraction: null })
    }))

  test("changes what is given and nothing else", (store) =>
    Effect.gen(function* () {
      const created = yield* store.create(newExecution({ owner: "me", leaseUntil: 9 }))
      yield* TestClock.setTime(77)
      yield* store.update(scope, executionId, { status: "completed", resultJson: `{"b": 1,  "a":2}`, leaseUntil: null })
      yield* store.update(scope, executionId, { journalComplete: false, epoch: 3 })
      const { execution } = yield* store.get(scope, executionId)
      expect({ ...execution }).toEqual({
        ...created,
        status: "completed",
        resultJson: `{"b": 1,  "a":2}`,
        leaseUntil: null,
        journalComplete: false,
        epoch: 3,
        updatedAt: 77
      })
    }))

  test("lists the beginning of the code, and gives the parts that are asked for", (store) =>
    Effect.gen(function* () {
      const code = "x".repeat(codePreviewLength - 1) + "😀 and more"
      yield* store.create(newExecution({ code }))
      yield* store.update(scope, executionId, { status: "completed", resultJson: "[1]" })
      yield* store.update(scope, executionId, { logsJson: "[]" })
      expect((yield* store.get(scope, executionId)).execution).toMatchObject({
        code,
        resultJson: "[1]",
        logsJson: "[]"
      })
      const [listed] = (yield* store.list(scope)).executions
      expect(listed?.execution).toMatchObject({ id: "e1", codePreview: "x".repeat(codePreviewLength - 1) })
      expect(listed?.execution).not.toHaveProperty("code")
      expect(yield* store.getParts(scope, executionId, [])).toEqual({ ...listed, parts: {} })
      expect(yield* store.getParts(scope, executionId, ["result"])).toEqual({ ...listed, parts: { resultJson: "[1]" } })
      expect(yield* store.getParts(scope, executionId, ["code", "logs"])).toEqual({
        ...listed,
        parts: { code, logsJson: "[]" }
      })
    }))

  test("keeps large payloads whole, and refuses larger ones", (store) =>
    Effect.gen(function* () {
      const large = JSON.stringify(Array.from({ length: 200_000 }, (_, i) => `é${i}`))
      yield* store.create(newExecution({ code: large }))
      yield* store.recordToolCall(newCall({ argsJson: large }))
      yield* store.finishToolCall(scope, callId, { ...done, resultJson: large })
      yield* store.update(scope, executionId, { status: "completed", resultJson: large, logsJson: large })
      const { execution } = yield* store.get(scope, executionId)
      const [call] = yield* store.listToolCalls(scope, executionId)
      const kept = [execution.code, execution.resultJson, execution.logsJson, call?.argsJson, call?.resultJson]
      expect(kept.every((text) => text === large)).toBe(true)

      const tooLarge = "é".repeat(maxPayloadBytes / 2 + 1)
      const field = (effect: ReturnType<Store["create" | "update" | "recordToolCall" | "finishToolCall"]>) =>
        Effect.map(Effect.flip(effect as Effect.Effect<unknown, { readonly field?: string }>), (error) => error.field)
      expect(yield* field(store.create(newExecution({ id: ExecutionId.make("e2"), code: tooLarge })))).toBe("code")
      expect(yield* field(store.update(scope, executionId, { logsJson: tooLarge }))).toBe("logsJson")
      const second = newCall({ id: ExecutionToolCallId.make("c2"), seq: 1, argsJson: tooLarge })
      expect(yield* field(store.recordToolCall(second))).toBe("argsJson")
      expect(yield* field(store.finishToolCall(scope, callId, { ...done, resultJson: tooLarge }))).toBe("resultJson")
      expect(yield* store.listToolCalls(scope, executionId)).toHaveLength(1)
    }))

  test("refuses an id or an idempotency key that is taken", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution({ idempotencyKey: "k" }))
      const reason = (effect: ReturnType<Store["create"]>) =>
        Effect.map(Effect.flip(effect), (error) => (error._tag === "DBError" ? error.reason : error._tag))
      expect(yield* reason(store.create(newExecution()))).toBe("unique")
      expect(yield* reason(store.create(newExecution({ id: ExecutionId.make("e2"), idempotencyKey: "k" })))).toBe(
        "unique"
      )
    }))
}

const childTests = (test: StoreTest): void => {
  test("records a call as running, counts it, and keeps its outcome", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution())
      yield* store.recordToolCall(newCall({ id: ExecutionToolCallId.make("c2"), seq: 1, toolPath: "ping" }))
      yield* store.recordToolCall(newCall())
      const [first, second] = yield* store.listToolCalls(scope, executionId)
      expect({ ...first }).toEqual({
        id: "c1",
        executionId: "e1",
        scopeId: "a",
        seq: 0,
        settleSeq: null,
        status: "running",
        toolPath: "github.issues.create",
        namespace: "github",
        argsJson: `{"title": "Hi"}`,
        resultJson: null,
        errorText: null,
        idempotencyKey: "e1:0",
        startedAt: 10,
        completedAt: null,
        durationMs: null
      })
      expect(second).toMatchObject({ id: "c2", namespace: "ping", idempotencyKey: "e1:1" })
      yield* store.finishToolCall(scope, callId, { ...done, status: "failed", errorText: "no" })
      const [finished] = yield* store.listToolCalls(scope, executionId)
      expect({ ...finished }).toEqual({ ...first, ...done, status: "failed", errorText: "no" })
      expect((yield* store.get(scope, executionId)).execution.toolCallCount).toBe(2)
    }))

  test("counts a call only if it is recorded", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution())
      yield* store.recordToolCall(newCall())
      expect(yield* tagOf(store.recordToolCall(newCall()))).toBe("DBError")
      const sameNumber = newCall({ id: ExecutionToolCallId.make("c2") })
      expect(yield* Effect.flip(store.recordToolCall(sameNumber))).toMatchObject({ reason: "unique" })
      expect((yield* store.get(scope, executionId)).execution.toolCallCount).toBe(1)
      expect(yield* tagOf(store.finishToolCall(scope, ExecutionToolCallId.make("c9"), done))).toBe("ToolCallNotFound")
    }))

  test("counts the calls of an execution that has ended, also those that come or end late", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution())
      yield* store.recordToolCall(newCall())
      const count = Effect.map(store.get(scope, executionId), ({ execution }) => execution.toolCallCount)
      yield* store.update(scope, executionId, { status: "failed", completedAt: 1 })
      expect(yield* count).toBe(1)
      const late = newCall({ id: ExecutionToolCallId.make("c2"), seq: 1, toolPath: "late.x" })
      yield* store.recordToolCall(late)
      expect(yield* count).toBe(2)
      yield* store.finishToolCall(scope, late.id, { ...done, status: "failed", errorText: "no" })
      expect((yield* store.listToolCalls(scope, executionId))[1]).toMatchObject({ status: "failed", errorText: "no" })
      expect(yield* tagOf(store.finishToolCall(otherScope, late.id, done))).toBe("ToolCallNotFound")
      const page = yield* store.list(scope, { toolPathFilter: ["late.*"] })
      expect(page.executions.map(({ execution }) => execution.toolCallCount)).toEqual([2])
    }))

  test("counts calls that are recorded at once", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution())
      const calls = Array.from({ length: 100 }, (_, seq) => newCall({ id: ExecutionToolCallId.make(`c${seq}`), seq }))
      yield* Effect.all(
        calls.map((call) => Effect.andThen(store.recordToolCall(call), store.finishToolCall(scope, call.id, done))),
        { concurrency: "unbounded" }
      )
      const recorded = yield* store.listToolCalls(scope, executionId)
      expect(recorded.map(({ seq, status }) => `${seq} ${status}`)).toEqual(calls.map(({ seq }) => `${seq} completed`))
      expect((yield* store.get(scope, executionId)).execution.toolCallCount).toBe(100)
    }))

  test("lists a part of the calls where it is asked to", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution())
      for (let seq = 0; seq < 5; seq++) {
        yield* store.recordToolCall(newCall({ id: ExecutionToolCallId.make(`c${seq}`), seq }))
      }
      const seqs = (options: { readonly after?: number; readonly limit?: number }) =>
        Effect.map(store.listToolCalls(scope, executionId, options), (calls) => calls.map(({ seq }) => seq))
      expect(yield* seqs({ limit: 2 })).toEqual([0, 1])
      expect(yield* seqs({ after: 1, limit: 2 })).toEqual([2, 3])
      expect(yield* seqs({ after: 3 })).toEqual([4])
      expect(yield* seqs({ after: 4, limit: 2 })).toEqual([])
    }))

  test("shows the oldest question that waits, and the answer afterwards", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution())
      const second = ExecutionInteractionId.make("i0")
      const asked = yield* store.recordInteraction(newInteraction())
      yield* TestClock.adjust(1)
      const form = { kind: "form", purpose: "tool_input", toolCallId: null } as const
      yield* store.recordInteraction(newInteraction({ id: second, ...form }))
      expect({ ...asked }).toMatchObject({ status: "pending", responseJson: null, resolvedBy: null, toolCallId: "c1" })
      const pending = Effect.map(store.get(scope, executionId), ({ pendingInteraction }) => pendingInteraction?.id)
      expect(yield* pending).toBe("i1")
      yield* store.resolveInteraction(scope, interactionId, { ...accepted, responsePrivateJson: `{"content":{}}` })
      expect(yield* pending).toBe("i0")
      yield* store.resolveInteraction(scope, second, { status: "cancelled", responseJson: null, resolvedBy: null })
      expect(yield* pending).toBeUndefined()
      expect(yield* store.listInteractions(scope, executionId)).toMatchObject([
        { id: "i1", ...accepted, responsePrivateJson: `{"content":{}}` },
        { id: "i0", ...form, status: "cancelled", responseJson: null }
      ])
      expect((yield* store.get(scope, executionId)).execution.interactionCount).toBe(2)
    }))

  test("takes the first of many answers, and tells the others who gave it", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution())
      yield* store.recordInteraction(newInteraction())
      const answers = Array.from({ length: 8 }, (_, i) =>
        Effect.exit(store.resolveInteraction(scope, interactionId, { ...accepted, resolvedBy: `p${i}` }))
      )
      const exits = yield* Effect.all(answers, { concurrency: "unbounded" })
      const [winner, ...others] = exits.flatMap((exit, i) => (Exit.isSuccess(exit) ? [`p${i}`] : []))
      expect(others).toEqual([])
      const [kept] = yield* store.listInteractions(scope, executionId)
      expect(kept?.resolvedBy).toBe(winner)
      const error = yield* Effect.flip(store.resolveInteraction(scope, interactionId, accepted))
      expect(error).toMatchObject({ _tag: "InteractionAlreadyResolved", status: "resolved", resolvedBy: winner })
    }))

  test("tells an execution without children from none", (store) =>
    Effect.gen(function* () {
      expect(yield* tagOf(store.listToolCalls(scope, executionId))).toBe("ExecutionNotFound")
      yield* store.create(newExecution())
      expect(yield* store.listToolCalls(scope, executionId)).toEqual([])
      expect(yield* store.listInteractions(scope, executionId)).toEqual([])
    }))
}
