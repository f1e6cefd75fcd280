/**
 * Long computations, a slice of them in each turn of the event loop.
 *
 * Use {@link inSlices} for work whose length depends on a value that somebody else chose. All such work shares one slice a turn, first
 * come first served, so that many large values at once hold up others no longer than one does. What fits into what is left
 * of the slice is done at once.
 */
import { Effect } from "effect"

/** A work in steps: it yields wherever others may run. */
export type Steps<A> = Generator<void, A, void>

/** How long a slice is. One step of a work may overrun it: enumerating 60,000 keys of one object takes 10 ms. */
const sliceMs = 3

/** The slice of this turn. The kernel, which this package does not know, takes its slices from the same: there is one loop. */
const turn: { end: number | undefined } = ((globalThis as Record<symbol, unknown>)[Symbol.for("@executor/turn")] ??= {
  end: undefined
}) as never

const inNextTurn: (f: () => void) => void = globalThis.setImmediate ?? setTimeout

/** Runs the work to its end. What it throws is a defect. */
export const inSlices = <A>(work: Steps<A>): Effect.Effect<A> =>
  Effect.suspend(() => {
    const now = performance.now()
    if (turn.end === undefined) {
      turn.end = now + sliceMs
      inNextTurn(() => {
        turn.end = undefined
      })
    }
    for (let at = now; at < turn.end; at = performance.now()) {
      const step = work.next()
      if (step.done === true) return Effect.succeed(step.value)
    }
    return Effect.flatMap(Effect.yieldNow, () => inSlices(work))
  })

/** The same for work that begins with a short step, which is often all there is: that one takes no look at the clock. */
export const startingNow = <A>(work: Steps<A>): Effect.Effect<A> => {
  const first = work.next()
  return first.done === true ? Effect.succeed(first.value) : Effect.flatMap(Effect.yieldNow, () => inSlices(work))
}

/** Runs the work to its end at once: for values of the host's own making. */
export const atOnce = <A>(work: Steps<A>): A => {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}
