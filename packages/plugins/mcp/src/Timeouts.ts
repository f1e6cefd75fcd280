/**
 * The time that starting and a call may take.
 */
import { type OutcomeUnknown, SourceUnavailable, ToolFailed } from "@executor/sdk"
import { Effect, type Scope } from "effect"
import type { AnyCall } from "./Calls.ts"
import { outcomeUnknown } from "./Failures.ts"
import type { StartLimit } from "./McpSourceConfig.ts"
import { logPrinted, type Printed } from "./Printed.ts"
import type { StdioProcess } from "./StdioProcess.ts"

/** A server that did not answer a call in time must answer a simple request in this time (or that of a call), or it hangs. */
export const answerTimeoutMillis = 5000

/** A call waits no longer for its turn: who waits for a person's answer elsewhere may wait for days. */
export const maxTurnMillis = 20_000

/** Fails when a server takes longer for what it does first: `start`, `list its tools`. */
export const withinStartTime =
  (options: {
    readonly namespace: string
    readonly what: string
    readonly limit: StartLimit
    readonly printed: Printed
  }) =>
  <A, R>(effect: Effect.Effect<A, SourceUnavailable, R>): Effect.Effect<A, SourceUnavailable, R> => {
    const { limit, namespace, printed, what } = options
    const late = Effect.gen(function* () {
      for (let spent = 0, seen = -1; spent < limit.maxMillis && seen !== printed.length; spent += limit.millis) {
        seen = printed.length
        yield* Effect.sleep(limit.millis)
      }
      if (printed.inError !== "") yield* logPrinted(namespace, printed)
      return yield* new SourceUnavailable({
        namespace,
        message:
          `${namespace}: its server did not ${what} within ${limit.millis} ms ` +
          `(${limitNames("startTimeout")})${printed.inError}`
      })
    })
    return Effect.raceFirst(effect, late)
  }

/** How a limit is called where it can be set. */
export const limitNames = (name: "startTimeout" | "callTimeout"): string => {
  const flag = name.replace("T", "-t")
  return `the setting ${name}Millis of the source; executor sources add mcp --${flag}; for all sources EXECUTOR_${flag.replace("-", "_").toUpperCase()}`
}

/** Time is counted in steps, so that a step during which a person is thinking can be left out. */
const steps = 20
const longestStepMillis = 1000

/** Ends calls that take too long. */
export interface CallTimes {
  /**
   * Ends a call that takes longer than the limit, without the time it waits for its turn and the time a person thinks about its
   * questions. What it did is not known if the server has its request. If the server does not answer otherwise either, `hangs` is run.
   */
  readonly within: <A, E>(
    outcome: Effect.Effect<A, E>,
    options: {
      readonly call: AnyCall
      readonly server: StdioProcess
      readonly path: string
      readonly isAlive: Effect.Effect<boolean>
      readonly hangs: Effect.Effect<void>
    }
  ) => Effect.Effect<A, E | ToolFailed | OutcomeUnknown>
}

/** A call whose time is counted. */
interface Timed {
  readonly call: AnyCall
  left: number
  readonly expire: () => void
}

/** Makes the watch of all calls of a source, since a timer for each would cost each. It ends with the scope. */
export const makeCallTimes = Effect.fnUntraced(function* (
  millis: number
): Effect.fn.Return<CallTimes, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const step = Math.min(longestStepMillis, Math.max(1, Math.ceil(millis / steps)))
  const underWay = new Set<Timed>()
  let watching = false

  const watch = Effect.gen(function* () {
    while (underWay.size > 0) {
      yield* Effect.sleep(step)
      for (const timed of underWay) {
        if (!timed.call.started || timed.call.pending > 0) continue
        if (timed.left <= 0) timed.expire()
        else timed.left -= step
      }
    }
    watching = false
  })

  /** Succeeds when the time of a call is over. */
  const over = (call: AnyCall) =>
    Effect.callback<"late">((resume) => {
      const expire = () => {
        underWay.delete(timed)
        resume(Effect.succeed("late"))
      }
      const timed: Timed = { call, left: millis, expire }
      underWay.add(timed)
      return Effect.sync(() => underWay.delete(timed))
    })

  const watched = (call: AnyCall) =>
    Effect.suspend(() => {
      if (watching) return over(call)
      watching = true
      return Effect.andThen(Effect.forkIn(watch, scope), over(call))
    })

  return {
    within: (outcome, { call, hangs, isAlive, path, server }) =>
      Effect.flatMap(
        Effect.raceFirst(
          Effect.map(outcome, (value) => ({ value })),
          watched(call)
        ),
        (result) => {
          if (result !== "late") return Effect.succeed(result.value)
          const limit = `within ${millis} ms (${limitNames("callTimeout")})`
          const sentAt = call.delivery?.sentAt
          return Effect.flatMap(isAlive, (alive) => {
            const failure: Effect.Effect<never, ToolFailed | OutcomeUnknown> =
              sentAt === undefined
                ? Effect.fail(
                    new ToolFailed({ path, message: `could not be sent ${limit}: its server does not read it` })
                  )
                : outcomeUnknown(
                    path,
                    server,
                    sentAt,
                    `its server did not answer ${limit}${alive ? "" : ", and does not answer any more"}`
                  )
            return alive ? failure : Effect.andThen(hangs, failure)
          })
        }
      )
  }
})
