/**
 * How executions are taken: whatever happens at the same time, no two holders have the same epoch.
 */
import { expect } from "@effect/vitest"
import { Effect, Result } from "effect"
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
}
