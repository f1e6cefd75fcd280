/**
 * Long computations, a slice of them in each turn of the event loop.
 *
 * Use {@link inSlices} for work whose length depends on a value that somebody else chose. All such work of the process shares one
 * slice a turn, first come first served: a dozen large values at once take longer than one, but hold up nothing else for longer.
 * What fits into what is left of the slice is done at once.
 */
import { Effect } from "effect"

/** How long a slice is. One step of a work may overrun it: enumerating 60,000 keys of one object takes 10 ms. */
const sliceMs = 3

/** The slice of this turn. The sdk, which this package does not know, takes its slices from the same: there is one loop. */
const turn: { end: number | undefined } = ((globalThis as Record<symbol, unknown>)[Symbol.for("@executor/turn")] ??= {
  end: undefined
}) as never

/** Runs the work to its end. It yields wherever others may run; what it throws is a defect. */
export const inSlices = <A>(work: Generator<void, A, void>): Effect.Effect<A> =>
  Effect.suspend(() => {
    const now = performance.now()
    if (turn.end === undefined) {
      turn.end = now + sliceMs
      setImmediate(() => {
        turn.end = undefined
      })
    }
    for (let at = now; at < turn.end; at = performance.now()) {
      const step = work.next()
      if (step.done === true) return Effect.succeed(step.value)
    }
    return Effect.flatMap(Effect.yieldNow, () => inSlices(work))
  })
