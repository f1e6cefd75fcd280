/**
 * Tools that keep an execution busy until the test lets it go, and that note what they did.
 */
import { type StaticTool, tool } from "@executor/sdk"
import { Deferred, Effect, Schema } from "effect"

const input = Schema.Struct({ n: Schema.Number })

/** Tools whose calls are told apart by a number, and what became of them. */
export interface Busy {
  readonly tools: ReadonlyArray<StaticTool>
  /** Calls of `hold` and `guarded`, in the order in which they were made. */
  readonly made: Array<number>
  /** Calls of `hold` that are under way. */
  readonly held: ReadonlySet<number>
  /** The most that were under way at once. */
  readonly most: () => number
  readonly letGo: (n: number) => void
}

/** `hold` ends when it is let go, and `guarded` asks first. */
export const makeBusy = (): Busy => {
  const made: Array<number> = []
  const held = new Set<number>()
  const gates = new Map<number, Deferred.Deferred<void>>()
  let most = 0
  const gateOf = (n: number) => {
    const gate = gates.get(n) ?? Deferred.makeUnsafe<void>()
    gates.set(n, gate)
    return gate
  }
  const hold = tool({
    name: "hold",
    description: "Ends when it is let go.",
    input,
    handler: ({ n }) =>
      Effect.suspend(() => {
        made.push(n)
        held.add(n)
        most = Math.max(most, held.size)
        const ended = Effect.sync(() => held.delete(n))
        return Effect.as(Effect.ensuring(Deferred.await(gateOf(n)), ended), n)
      })
  })
  const guarded = tool({
    name: "guarded",
    description: "Asks first.",
    requiresApproval: true,
    input,
    handler: ({ n }) => {
      made.push(n)
      return n
    }
  })
  return {
    tools: [hold, guarded],
    made,
    held,
    most: () => most,
    letGo: (n) => Deferred.doneUnsafe(gateOf(n), Effect.void)
  }
}

/** Code that is under way until it is let go. */
export const holding = (n: number) => `return await tools.t.hold({ n: ${n} })`

/** Code that waits for a person. */
export const asking = (n: number) => `return await tools.t.guarded({ n: ${n} })`
