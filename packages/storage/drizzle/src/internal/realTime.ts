/**
 * Waiting in real time: databases and other processes do not know of a test's clock.
 */
import { Effect } from "effect"

/** Waits in real time. */
export const sleep = (millis: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

/** In how many steps a time runs out. */
const steps = 10

/**
 * Waits in steps, so that a process that stood still has not waited for so long: of the time in which nobody could answer, no more
 * than a step counts.
 */
export const sleepInSteps = (millis: number): Effect.Effect<void> =>
  Effect.repeat(sleep(millis / steps), { times: steps - 1 })
