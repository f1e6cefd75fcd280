/**
 * How executions are taken: whatever happens at the same time, no two holders have the same epoch.
 */
import { expect } from "@effect/vitest"
import { Effect, Result } from "effect"
import { ExecutionId } from "../Ids.ts"
import { executionId, newExecution, scope } from "./samples.ts"
import type { StoreTest } from "./executionStoreConformance.ts"

const owners = Array.from({ length: 8 }, (_, i) => `owner ${i}`)

/** Declares the tests of taking executions. */
export const leaseTests = (test: StoreTest): void => {
  test("of those who take it at once, one has it while its lease lasts", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution())
      const claims = yield* Effect.forEach(
        owners,
        (owner) => Effect.result(store.claim(scope, executionId, { owner, at: 1_000, leaseUntil: 2_000 })),
        { concurrency: "unbounded" }
      )
      expect(claims.filter(Result.isSuccess).map(({ success }) => success)).toEqual([1])
      expect(new Set(claims.filter(Result.isFailure).map(({ failure }) => failure._tag))).toEqual(
        new Set(["ExecutionNotFree"])
      )
    }))

  test("each who takes it after a lease that is over has an epoch of its own, and the last of them may write", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution())
      const epochs: Array<number> = []
      for (let round = 0; round < 5; round++) {
        const claims = yield* Effect.forEach(
          owners,
          (owner) => Effect.result(store.claim(scope, executionId, { owner, at: 1_000, leaseUntil: 500 })),
          { concurrency: "unbounded" }
        )
        for (const claim of claims) if (Result.isSuccess(claim)) epochs.push(claim.success)
      }
      expect(epochs.length).toBeGreaterThanOrEqual(5)
      expect(new Set(epochs).size).toBe(epochs.length)
      const writes = yield* Effect.forEach(epochs, (epoch) =>
        Effect.result(store.update(scope, executionId, { status: "running" }, epoch))
      )
      expect(epochs.filter((_, i) => Result.isSuccess(writes[i]!))).toEqual([Math.max(...epochs)])
    }))

  test("whoever cancels one or goes on in another sandbox says so to the next who reads it", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution({ sandboxBuild: "one" }))
      const claim = { owner: "p", at: 1_000, leaseUntil: 500 }
      const told = () =>
        Effect.map(store.readJournal(scope, executionId), ({ cancelRequestedAt, sandboxBuild }) => [
          cancelRequestedAt,
          sandboxBuild
        ])
      yield* store.claim(scope, executionId, claim)
      expect(yield* told()).toEqual([null, "one"])
      yield* store.claim(scope, executionId, { ...claim, sandboxBuild: "two" })
      expect(yield* told()).toEqual([null, "two"])
      yield* store.claim(scope, executionId, { ...claim, cancels: true })
      expect(yield* told()).toEqual([1_000, "two"])
    }))

  test("of those that nobody runs, an owner may leave out its own, and those of another build of the sandbox", (store) =>
    Effect.gen(function* () {
      const rows = [
        { id: "mine", owner: "me", leaseUntil: 500, sandboxBuild: "one" },
        { id: "theirs", owner: "you", leaseUntil: 500, sandboxBuild: "one" },
        { id: "given up", owner: null, leaseUntil: null, sandboxBuild: "one" },
        { id: "elsewhere", owner: "you", leaseUntil: 500, sandboxBuild: "two" },
        { id: "unknown", owner: null, leaseUntil: null, sandboxBuild: null },
        { id: "held", owner: "you", leaseUntil: 2_000, sandboxBuild: "one" }
      ]
      for (const [createdAt, { id, ...row }] of rows.entries()) {
        yield* store.create(newExecution({ ...row, createdAt, id: ExecutionId.make(id) }))
      }
      const listed = (options: { readonly exceptOwner?: string; readonly sandboxBuild?: string }) =>
        store.listAbandoned(scope, { at: 1_000, limit: 10, ...options })
      expect(yield* listed({})).toEqual(["mine", "theirs", "given up", "elsewhere", "unknown"])
      expect(yield* listed({ exceptOwner: "me" })).toEqual(["theirs", "given up", "elsewhere", "unknown"])
      expect(yield* listed({ sandboxBuild: "one" })).toEqual(["mine", "theirs", "given up"])
      expect(yield* listed({ exceptOwner: "me", sandboxBuild: "one" })).toEqual(["theirs", "given up"])
      expect(yield* listed({ sandboxBuild: "three" })).toEqual([])
    }))

  test("counts the processes in a row that were lost over one, and neither those that let it go nor those that keep it", (store) =>
    Effect.gen(function* () {
      yield* store.create(newExecution({ owner: "p", leaseUntil: 500 }))
      const crashes = Effect.map(store.readJournal(scope, executionId), ({ crashes }) => crashes)
      const take = store.claim(scope, executionId, { owner: "p", at: 1_000, leaseUntil: 500 })
      expect(yield* crashes).toBe(0)
      yield* take
      const epoch = yield* take
      expect(yield* crashes).toBe(2)
      expect(yield* store.heldExecutions(scope, [executionId])).toEqual([
        { id: executionId, epoch, cancelRequestedAt: null, crashes: 2 }
      ])

      yield* store.renewLeases(scope, "p", [executionId], 900)
      expect(yield* crashes).toBe(2)
      yield* store.renewLeases(scope, "another", [executionId], 900, [executionId])
      expect(yield* crashes).toBe(2)
      yield* store.renewLeases(scope, "p", [executionId], 900, [executionId])
      expect(yield* crashes).toBe(0)

      yield* take
      expect(yield* crashes).toBe(1)
      yield* store.release(scope, executionId, yield* take)
      expect(yield* crashes).toBe(0)
      yield* take
      expect(yield* crashes).toBe(0)
    }))

  test("of those that nobody runs, it lists those over which processes were lost apart, the most often first", (store) =>
    Effect.gen(function* () {
      const lost = { often: 3, never: 0, once: 1, "most often": 4 }
      for (const [createdAt, [name, times]] of Object.entries(lost).entries()) {
        const id = ExecutionId.make(name)
        yield* store.create(newExecution({ id, createdAt, owner: "p", leaseUntil: 500 }))
        const take = store.claim(scope, id, { owner: "p", at: 1_000, leaseUntil: 500 })
        for (let i = 0; i < times; i++) yield* take
      }
      const listed = (options: { readonly crashesBelow?: number; readonly crashesFrom?: number }) =>
        store.listAbandoned(scope, { at: 1_000, limit: 10, ...options })
      expect(yield* listed({})).toEqual(["often", "never", "once", "most often"])
      expect(yield* listed({ crashesBelow: 1 })).toEqual(["never"])
      expect(yield* listed({ crashesBelow: 3 })).toEqual(["never", "once"])
      expect(yield* listed({ crashesFrom: 3 })).toEqual(["most often", "often"])
      expect(yield* listed({ crashesFrom: 5 })).toEqual([])
    }))
}
