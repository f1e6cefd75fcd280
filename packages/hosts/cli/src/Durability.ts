/**
 * What a server does with executions whose process is gone, and with questions that nobody answers.
 */
import type { ExecutionEngine, ExecutionEngineOptions } from "@executor/execution"
import { Effect, Option, Schedule } from "effect"
import { UsageError } from "./Failure.ts"
import { parseDuration } from "./Units.ts"

/** How the engine of a server treats executions that outlive their process. */
export type Durability = Pick<ExecutionEngineOptions, "recovery" | "inDoubt" | "pauseExpiryMs">

/** How often a server looks for executions whose process is gone. */
export const recoverEveryMs = 5_000

/** Reads the flags of a server. */
export const parse = Effect.fnUntraced(function* (flags: {
  readonly recovery: "resume" | "end"
  readonly inDoubt: "ask" | "repeat" | "fail"
  readonly pauseExpiry: Option.Option<string>
}): Effect.fn.Return<Durability, UsageError> {
  const { inDoubt, pauseExpiry, recovery } = flags
  if (Option.isNone(pauseExpiry)) return { recovery, inDoubt }
  const parsed = parseDuration(pauseExpiry.value)
  if (parsed._tag === "Failure")
    return yield* new UsageError({ message: `--pause-expiry: "${pauseExpiry.value}" is not ${parsed.failure}` })
  return { recovery, inDoubt, pauseExpiryMs: parsed.success }
})

/** Recovers at once and from then on. What fails is tried again, and is logged when it begins to fail. */
export const recoverForever = (engine: ExecutionEngine): Effect.Effect<void> => {
  let failing = false
  return engine.recover.pipe(
    Effect.matchCauseEffect({
      onSuccess: ({ continued, ended, expired }) => {
        failing = false
        return continued + ended + expired === 0
          ? Effect.void
          : Effect.logInfo(`Recovered executions: ${continued} go on, ${ended} were ended, ${expired} waited too long.`)
      },
      onFailure: (cause) => {
        const isNews = !failing
        failing = true
        return isNews ? Effect.logError("Executions cannot be recovered; it is tried again.", cause) : Effect.void
      }
    }),
    Effect.repeat(Schedule.spaced(recoverEveryMs)),
    Effect.asVoid
  )
}
