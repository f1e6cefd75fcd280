/**
 * What a server does with executions whose process is gone, and with questions that nobody answers.
 */
import type { ExecutionEngine, ExecutionEngineOptions } from "@executor/execution"
import { Effect, Option, Stream } from "effect"
import { UsageError } from "./Failure.ts"
import { parseDuration } from "./Units.ts"

/** How the engine of a server treats executions that outlive their process. */
export type Durability = Pick<ExecutionEngineOptions, "recovery" | "inDoubt" | "pauseExpiryMs">

/** How often a server looks for executions whose process is gone. */
export const recoverEveryMs = 5_000

/** Between a look and the next: a database that is written to all the time may ring all the time. */
const recoverApartMs = 200

/** Reads the flags of a server. */
export const parse = Effect.fnUntraced(function* (flags: {
  readonly recovery: "resume" | "end"
  readonly pauseExpiry: Option.Option<string>
}): Effect.fn.Return<Durability, UsageError> {
  const { pauseExpiry, recovery } = flags
  if (Option.isNone(pauseExpiry)) return { recovery }
  const parsed = parseDuration(pauseExpiry.value)
  if (parsed._tag === "Failure")
    return yield* new UsageError({ message: `--pause-expiry: "${pauseExpiry.value}" is not ${parsed.failure}` })
  return { recovery, pauseExpiryMs: parsed.success }
})

/**
 * Recovers at once, then whenever an execution may have been freed, and every so often in any case. Never twice at the same time: what
 * rings meanwhile leads to one more look. What fails is tried again, and is logged when it begins to fail.
 */
export const recoverForever = (
  engine: Pick<ExecutionEngine, "recover">,
  freed: Stream.Stream<void>,
  everyMs: number = recoverEveryMs
): Effect.Effect<void> => {
  let failing = false
  const look = engine.recover.pipe(
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
    })
  )
  return Stream.merge(Stream.tick(everyMs), freed).pipe(
    Stream.buffer({ capacity: 1, strategy: "sliding" }),
    Stream.runForEach(() => Effect.andThen(look, Effect.sleep(recoverApartMs)))
  )
}
