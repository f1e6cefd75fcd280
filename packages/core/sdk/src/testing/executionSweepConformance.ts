/**
 * What sweeping must do over any adapter: which executions go, which stay, and what goes with them.
 */
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { ExecutionStore } from "../ExecutionStore.ts"
import { ExecutionId, ExecutionToolCallId, ScopeId } from "../Ids.ts"
import type { StoreTest } from "./executionStoreConformance.ts"
import { executionId, newCall, newExecution, newInteraction, scope } from "./samples.ts"

type Store = ExecutionStore["Service"]

/** Declares the tests of sweeping. */
export const sweepTests = (test: StoreTest): void => {
  /** Executions 0 to 9, created in this order, ended in the reverse one; 3 and 7 still run. */
  const fill = Effect.fnUntraced(function* (store: Store) {
    for (let i = 0; i < 10; i++) {
      const id = ExecutionId.make(`e${i}`)
      yield* store.create(newExecution({ id, createdAt: i }))
      if (i !== 3 && i !== 7) {
        const status = (["completed", "failed", "cancelled"] as const)[i % 3] ?? "completed"
        yield* store.update(scope, id, { status, completedAt: 100 - i })
      }
    }
  })
  const left = (store: Store) =>
    Effect.map(store.list(scope), ({ executions }) => executions.map(({ execution }) => execution.id.slice(1)).join(""))

  test("removes what ended before a time, and nothing that runs", (store) =>
    Effect.gen(function* () {
      yield* fill(store)
      expect(yield* store.sweep(scope, { completedBefore: 95 })).toEqual({ removed: 3 })
      expect(yield* left(store)).toBe("7543210")
    }))

  test("keeps those that ended last", (store) =>
    Effect.gen(function* () {
      yield* fill(store)
      expect(yield* store.sweep(scope, { keepNewest: 2 })).toEqual({ removed: 6 })
      expect(yield* left(store)).toBe("7310")
      expect(yield* store.sweep(scope, { keepNewest: 2 })).toEqual({ removed: 0 })
    }))

  test("removes only what is beyond both bounds, oldest first, up to the limit", (store) =>
    Effect.gen(function* () {
      yield* fill(store)
      expect(yield* store.sweep(scope, { keepNewest: 1, completedBefore: 95, limit: 2 })).toEqual({ removed: 2 })
      expect(yield* left(store)).toBe("76543210")
      expect(yield* store.sweep(scope, { keepNewest: 4, completedBefore: 1000 })).toEqual({ removed: 2 })
      expect(yield* left(store)).toBe("743210")
      expect(yield* store.sweep(scope, { keepNewest: 0, completedBefore: 97 })).toEqual({ removed: 1 })
    }))

  test("keeps what fits a size, those that ended last first", (store) =>
    Effect.gen(function* () {
      for (const [i, resultJson] of ["12345", "1", "123", ""].entries()) {
        const id = ExecutionId.make(`e${i}`)
        yield* store.create(newExecution({ id, createdAt: i }))
        const call = newCall({ id: ExecutionToolCallId.make(`c${i}`), executionId: id, argsJson: "{}" })
        yield* store.recordToolCall(call)
        yield* store.update(scope, id, { status: "completed", completedAt: i, resultJson })
      }
      expect(yield* store.sweep(scope, { keepSize: 17 })).toEqual({ removed: 0 })
      expect(yield* store.sweep(scope, { keepSize: 16 })).toEqual({ removed: 1 })
      expect(yield* left(store)).toBe("321")
      expect(yield* store.sweep(scope, { keepSize: 0, limit: 1 })).toEqual({ removed: 1 })
      expect(yield* store.sweep(scope, { keepSize: 2 })).toEqual({ removed: 1 })
      expect(yield* left(store)).toBe("3")
    }))

  test("keeps what forks came from until these are gone, and no other in its place", (store) =>
    Effect.gen(function* () {
      for (const [i, parent] of [null, "e0", null, null].entries()) {
        const id = ExecutionId.make(`e${i}`)
        const parentExecutionId = parent === null ? null : ExecutionId.make(parent)
        yield* store.create(newExecution({ id, createdAt: i, parentExecutionId, optionsJson: `{"fork":true}` }))
        yield* store.update(scope, id, { status: "completed", completedAt: i })
      }
      expect(yield* store.sweep(scope, { keepNewest: 3 })).toEqual({ removed: 0 })
      expect(yield* store.sweep(scope, { completedBefore: 2, limit: 1 })).toEqual({ removed: 1 })
      expect(yield* left(store)).toBe("320")
      expect(yield* store.sweep(scope, { completedBefore: 2, limit: 1 })).toEqual({ removed: 1 })
      expect(yield* left(store)).toBe("32")
    }))

  test("removes what others only name as their parent, or forks of another scope", (store) =>
    Effect.gen(function* () {
      const parentExecutionId = ExecutionId.make("e0")
      yield* store.create(newExecution({ id: parentExecutionId }))
      const named = newExecution({ id: ExecutionId.make("e1"), createdAt: 1, parentExecutionId })
      yield* store.create(named)
      const scopeId = ScopeId.make("another")
      yield* store.create({ ...named, id: ExecutionId.make("e2"), scopeId, optionsJson: `{"fork":true}` })
      yield* store.update(scope, parentExecutionId, { status: "completed", completedAt: 1 })
      expect(yield* store.sweep(scope, { keepNewest: 0 })).toEqual({ removed: 1 })
      expect(yield* left(store)).toBe("1")
    }))

  test("removes the children too", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution())
      yield* store.recordToolCall(newCall())
      yield* store.recordInteraction(newInteraction())
      yield* store.update(scope, executionId, { status: "failed", completedAt: 1 })
      expect(yield* store.sweep(scope, { keepNewest: 0 })).toEqual({ removed: 1 })
      yield* store.create(newExecution())
      yield* store.recordToolCall(newCall())
      yield* store.recordInteraction(newInteraction())
      expect(yield* store.listToolCalls(scope, executionId)).toHaveLength(1)
      expect(yield* store.listInteractions(scope, executionId)).toHaveLength(1)
    }))

  test("removes code with the last execution that has it", (store) =>
    Effect.gen(function* () {
      const second = ExecutionId.make("e2")
      yield* store.create(newExecution({ createdAt: 1 }))
      yield* store.create(newExecution({ id: second, createdAt: 2 }))
      yield* store.update(scope, executionId, { status: "completed", completedAt: 1 })
      expect(yield* store.sweep(scope, { keepNewest: 0 })).toEqual({ removed: 1 })
      expect((yield* store.get(scope, second)).execution.code).toBe("return 1")
      yield* store.update(scope, second, { status: "completed", completedAt: 2 })
      expect(yield* store.sweep(scope, { keepNewest: 0 })).toEqual({ removed: 1 })
      yield* store.create(newExecution())
      expect((yield* store.get(scope, executionId)).execution.code).toBe("return 1")
    }))

  test("wants a bound, and valid ones", (store) =>
    Effect.gen(function* () {
      const option = (options: Parameters<Store["sweep"]>[1]) =>
        Effect.map(Effect.flip(store.sweep(scope, options)), (error) =>
          "option" in error ? error.option : error.reason
        )
      expect(yield* option({})).toBe("completedBefore")
      expect(yield* option({ keepNewest: -1 })).toBe("keepNewest")
      expect(yield* option({ keepSize: -1 })).toBe("keepSize")
      expect(yield* option({ keepNewest: 1, limit: 0 })).toBe("limit")
    }))
}
