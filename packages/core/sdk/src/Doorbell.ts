/**
 * A bell that rings when an execution may have been given up. Authors of adapters make `freed` with it.
 *
 * An execution is given up by a unit of work that sets its `lease_until` to null. The adapter watches its own units for that. How it
 * hears of units of other processes depends on its database. It does so only while somebody listens.
 */
import { type Cause, Effect, Queue, type Scope, Stream } from "effect"
import type { DBAdapter, WriteOperation } from "./DBAdapter.ts"

type Write = DBAdapter["Service"]["write"]

/** A bell of one adapter. */
export interface Doorbell {
  /** Rings for each unit of work that may give an execution up, once it is written. */
  readonly watch: (write: Write) => Write
  /** See `freed` of `DBAdapter`. Rings that were not taken yet come as one. */
  readonly rings: Stream.Stream<void>
}

/**
 * How a listener hears of other processes, until the scope ends. It rings as soon as it hears, so that the listener knows, and then
 * for everything that it hears of.
 */
export type Hear = (ring: () => void) => Effect.Effect<unknown, never, Scope.Scope>

/** Makes a bell. Without `hear` it rings for this adapter's own units alone. */
export const make = (hear: Hear = Effect.sync): Doorbell => {
  const listeners = new Set<() => void>()
  const ringAll = Effect.sync(() => {
    for (const ring of listeners) ring()
  })
  const listen = (queue: Queue.Queue<void, Cause.Done>) =>
    Effect.gen(function* () {
      const ring = () => void Queue.offerUnsafe(queue, undefined)
      yield* Effect.acquireRelease(
        Effect.sync(() => listeners.add(ring)),
        () => Effect.sync(() => listeners.delete(ring))
      )
      yield* hear(ring)
    })
  return {
    watch: (write) => (operations, options) =>
      operations.some(mayGiveUp) ? Effect.tap(write(operations, options), ringAll) : write(operations, options),
    rings: Stream.callback<void>(listen, { bufferSize: 1, strategy: "sliding" })
  }
}

const mayGiveUp = (operation: WriteOperation): boolean =>
  operation.op === "update" && operation.table === "execution" && operation.set["lease_until"] === null
