/**
 * The rings of a bell that costs something to hear: heard once for all listeners, and no longer than the scope.
 */
import type { Doorbell } from "@executor/sdk"
import { type Effect, type Scope, Stream } from "effect"

/** Later listeners are told the last ring again, as it says that the bell is heard. */
export const sharedRings = ({ rings }: Doorbell.Doorbell): Effect.Effect<Stream.Stream<void>, never, Scope.Scope> =>
  Stream.share(rings, { capacity: 1, strategy: "sliding", replay: 1 })
