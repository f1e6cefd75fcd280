/**
 * That no scope sees or changes what is another's, in any method of the history.
 */
import { expect } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { ExecutionInteractionId, ExecutionToolCallId } from "../Ids.ts"
import type { StoreTest } from "./executionStoreConformance.ts"
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

/** Declares the tests of scopes. Those of export and import are in `executionArchiveConformance`. */
export const scopeTests = (test: StoreTest): void => {
  test("are apart in what records and reads executions", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution())
      yield* store.recordToolCall(newCall())
      yield* store.recordInteraction(newInteraction())
      const before = yield* store.get(scope, executionId)

      expect(yield* tagOf(store.get(otherScope, executionId))).toBe("ExecutionNotFound")
      expect(yield* tagOf(store.update(otherScope, executionId, { status: "failed" }))).toBe("ExecutionNotFound")
      expect(yield* tagOf(store.listToolCalls(otherScope, executionId))).toBe("ExecutionNotFound")
      expect(yield* tagOf(store.listInteractions(otherScope, executionId))).toBe("ExecutionNotFound")
      expect(yield* tagOf(store.finishToolCall(otherScope, callId, done))).toBe("ToolCallNotFound")
      expect(yield* tagOf(store.resolveInteraction(otherScope, interactionId, accepted))).toBe("InteractionNotFound")
      const call = newCall({ id: ExecutionToolCallId.make("c2"), seq: 1, scopeId: otherScope })
      expect(yield* Effect.flip(store.recordToolCall(call))).toMatchObject({ _tag: "DBError", reason: "foreignKey" })
      const interaction = newInteraction({ id: ExecutionInteractionId.make("i2"), scopeId: otherScope })
      expect(yield* tagOf(store.recordInteraction(interaction))).toBe("DBError")
      expect(yield* store.list(otherScope, { includeMeta: true })).toMatchObject({
        executions: [],
        meta: { totalRowCount: 0, filterRowCount: 0, triggerCounts: {}, toolFacets: [], chartData: [] }
      })
      yield* store.update(scope, executionId, { status: "completed", completedAt: 1 })
      expect(yield* store.sweep(otherScope, { keepNewest: 0 })).toEqual({ removed: 0 })

      const after = yield* store.get(scope, executionId)
      expect({ ...after.execution }).toEqual({ ...before.execution, status: "completed", completedAt: 1 })
      expect(after.pendingInteraction).toEqual(before.pendingInteraction)
      expect(yield* store.listToolCalls(scope, executionId)).toHaveLength(1)
    }))

  test("are apart in what takes, holds and finds executions", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution({ owner: "p", leaseUntil: 500, idempotencyKey: "k" }))
      yield* store.recordToolCall(newCall())
      yield* store.recordInteraction(newInteraction())
      yield* store.update(scope, executionId, { status: "waiting_for_interaction" })
      const before = yield* store.readJournal(scope, executionId)

      const claim = { owner: "q", at: 1_000, leaseUntil: 2_000 }
      const answer = { id: interactionId, resolution: accepted }
      const found = [
        Effect.asVoid(store.getParts(otherScope, executionId, [])),
        Effect.asVoid(store.readJournal(otherScope, executionId)),
        Effect.asVoid(store.claim(otherScope, executionId, claim)),
        Effect.asVoid(store.claim(otherScope, executionId, { ...claim, answer })),
        store.answerHeld(otherScope, executionId, answer, 0),
        store.release(otherScope, executionId, 0),
        store.updateToolCall(otherScope, executionId, 0, { status: "in_doubt" }, 0)
      ]
      for (const effect of found) expect(Exit.isFailure(yield* Effect.exit<void, unknown, never>(effect))).toBe(true)
      yield* store.renewLeases(otherScope, "p", [executionId], 9_000)
      yield* store.requestCancel(otherScope, executionId, 9_000)
      expect(yield* store.heldExecutions(otherScope, [executionId])).toEqual([])
      expect(yield* store.listAbandoned(otherScope, { at: 9_000, limit: 9, waiting: true })).toEqual([])
      expect(yield* store.listExpired(otherScope, { askedBefore: 1e15, limit: 9 })).toEqual([])
      expect(yield* store.findByIdempotencyKey(otherScope, "k")).toBe(undefined)
      expect(yield* store.inbox(otherScope)).toEqual({ interactions: [] })
      expect(yield* store.readJournal(scope, executionId)).toEqual(before)

      expect(yield* store.listAbandoned(scope, { at: 9_000, limit: 9, waiting: true })).toEqual([executionId])
      expect(yield* store.listExpired(scope, { askedBefore: 1e15, limit: 9 })).toEqual([executionId])
    }))
}
