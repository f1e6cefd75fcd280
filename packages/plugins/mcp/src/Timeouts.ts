/**
 * The time that starting and a call may take.
 */
import { SourceUnavailable, ToolFailed } from "@executor/sdk"
import { Effect } from "effect"
import type { Call } from "./Questions.ts"

/** A server that did not answer a call in time must answer a simple request in this time (or that of a call), or it hangs. */
export const answerTimeoutMillis = 5000

/** Fails when a server takes longer than `millis` for what it does first: `start`, `list its tools`. */
export const withinStartTime =
  (namespace: string, what: string, millis: number) =>
  <A, R>(effect: Effect.Effect<A, SourceUnavailable, R>): Effect.Effect<A, SourceUnavailable, R> =>
    Effect.timeoutOrElse(effect, {
      duration: millis,
      orElse: () =>
        Effect.fail(
          new SourceUnavailable({
            namespace,
            message: `${namespace}: its server did not ${what} within ${millis} ms (the setting startTimeoutMillis)`
          })
        )
    })

/** Time is counted in steps, so that a step during which a person is thinking can be left out. */
const steps = 20
const longestStepMillis = 1000

/**
 * Ends a call that takes longer than `millis`, without the time a person thinks about its questions. The tool has failed if
 * the server still answers otherwise; if not, the server is not available and will be started anew.
 */
export const withinCallTime = <A, E>(
  outcome: Effect.Effect<A, E>,
  options: {
    readonly call: Call<never, unknown>
    readonly path: string
    readonly namespace: string
    readonly millis: number
    readonly isAlive: Effect.Effect<boolean>
  }
): Effect.Effect<A, E | ToolFailed | SourceUnavailable> => {
  const { call, millis, namespace, path } = options
  const late = Effect.gen(function* () {
    const step = Math.min(longestStepMillis, Math.max(1, Math.ceil(millis / steps)))
    for (let left = millis; left > 0;) {
      yield* Effect.sleep(step)
      if (call.pending === 0) left -= step
    }
    return "late" as const
  })
  return Effect.flatMap(
    Effect.raceFirst(
      Effect.map(outcome, (value) => ({ value })),
      late
    ),
    (result): Effect.Effect<A, ToolFailed | SourceUnavailable> => {
      if (result !== "late") return Effect.succeed(result.value)
      if (!call.started) {
        return Effect.fail(
          new ToolFailed({
            path,
            message: `did not get its turn within ${millis} ms: its server is busy with another call, which may wait for a person's answer`
          })
        )
      }
      return Effect.flatMap(options.isAlive, (alive) =>
        Effect.fail(
          alive
            ? new ToolFailed({ path, message: `did not answer within ${millis} ms (the setting callTimeoutMillis)` })
            : new SourceUnavailable({ namespace, message: `${namespace}: its server does not answer any more` })
        )
      )
    }
  )
}
