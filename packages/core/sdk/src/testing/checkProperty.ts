import { Effect } from "effect"
import * as fc from "fast-check"

/** Runs a property whose body is an effect. */
export const checkProperty = <A>(
  arbitrary: fc.Arbitrary<A>,
  runs: number,
  body: (value: A) => Effect.Effect<void, unknown>
): Effect.Effect<void> =>
  Effect.promise(() =>
    fc.assert(
      fc.asyncProperty(arbitrary, (value) => Effect.runPromise(body(value))),
      { numRuns: runs }
    )
  )
