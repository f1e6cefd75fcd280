/**
 * Executions of this engine that have ended, and whose end the store has not taken yet.
 *
 * Their rows still say `running`. The engine keeps their leases, so that nobody takes them for lost and runs them again.
 */
import type { ExecutionId } from "@executor/sdk"
import { Effect } from "effect"

/** The ends that are still to be written. */
export interface UnwrittenEnds {
  readonly ids: () => ReadonlyArray<ExecutionId>
  readonly has: (id: ExecutionId) => boolean
  /** Keeps an end, with what tries once more to write it. */
  readonly add: (id: ExecutionId, attempt: Effect.Effect<void>) => void
  readonly delete: (id: ExecutionId) => void
  /** Tries all of them once more, and gives how many are left. */
  readonly tryAll: Effect.Effect<number>
}

/** Makes an empty set. */
export const make = (): UnwrittenEnds => {
  const attempts = new Map<ExecutionId, Effect.Effect<void>>()
  return {
    ids: () => Array.from(attempts.keys()),
    has: (id) => attempts.has(id),
    add: (id, attempt) => attempts.set(id, attempt),
    delete: (id) => attempts.delete(id),
    tryAll: Effect.map(
      Effect.suspend(() => Effect.all(Array.from(attempts.values()), { concurrency: "unbounded", discard: true })),
      () => attempts.size
    )
  }
}
