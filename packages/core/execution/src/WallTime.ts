/**
 * The wall time of one execution: a stopwatch that stands still while a person thinks.
 *
 * It runs from the start of the sandbox, does not run while at least one question is open, and calls back once when the limit is reached.
 * It follows the `Clock`. The sandbox itself cannot keep this time, since it does not know what a call waits for.
 */
import { Clock, Context, Effect, type Fiber } from "effect"

/** The stopwatch of one execution. */
export interface WallTime {
  readonly run: () => void
  readonly hold: () => void
}

/** A stopwatch that is still. Without a limit it does nothing. */
export const make = (context: Context.Context<never>, limitMs: number | null, onLimit: () => void): WallTime => {
  if (limitMs === null) return unlimited
  const runFork = Effect.runForkWith(context)
  const clock = Context.get(context, Clock.Clock)
  let leftMs = limitMs
  let running: { readonly since: number; readonly fiber: Fiber.Fiber<void> } | undefined
  return {
    run: () => {
      if (running !== undefined) return
      const fiber = runFork(Effect.andThen(Effect.sleep(leftMs), Effect.sync(onLimit)))
      running = { since: clock.currentTimeMillisUnsafe(), fiber }
    },
    hold: () => {
      if (running === undefined) return
      running.fiber.interruptUnsafe()
      leftMs = Math.max(0, leftMs - (clock.currentTimeMillisUnsafe() - running.since))
      running = undefined
    }
  }
}

const unlimited: WallTime = { run: () => undefined, hold: () => undefined }
