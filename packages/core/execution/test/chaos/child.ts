/**
 * A process that runs one program, or recovers it, and is killed at the boundary it is told: before or after a write of the history, or an
 * effect of a tool. It says what came of the program if it gets to its end, or with which error its engine gave the execution up.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { DBAdapter } from "@executor/sdk"
import { Effect, Logger } from "effect"
import { makeEngine, openDatabase } from "./parts.ts"
import { answerOf, type End, endOf, recoverAll } from "./recover.ts"
import { makeTools, readEffects } from "./tools.ts"

/** What a child is to do. */
export interface Job {
  readonly database: string
  readonly scope: string
  readonly effects: string
  /** Runs it; without code, what the scope has is recovered. */
  readonly code: string | undefined
  /** The code of a fork of it: only the steps of that one are counted. */
  readonly fork?: string | undefined
  /** The boundary at which it is killed, from 1; none if it is 0. */
  readonly killAt: number
  /** `SIGSTOP` only stops it. */
  readonly signal?: "SIGKILL" | "SIGSTOP"
}

/** What came of a job whose child was not killed. */
export interface Done {
  readonly boundaries: number
  /** Effects that were there before the first boundary. */
  readonly before: number
  /** How the execution ended, if there was one. */
  readonly end?: End | undefined
  /** Why the execution is not this process's any more. */
  readonly interrupted?: string
}

const run = Effect.fnUntraced(function* ({ code, database, effects, fork, killAt, scope, signal = "SIGKILL" }: Job) {
  let boundaries = 0
  let counts = fork === undefined
  const tick = () => {
    if (counts && ++boundaries === killAt) process.kill(process.pid, signal)
  }
  const opened = yield* openDatabase(database)
  const adapter = DBAdapter.of({
    ...opened,
    write: (operations) =>
      Effect.suspend(() => {
        tick()
        return Effect.tap(opened.write(operations), () => Effect.sync(tick))
      })
  })
  const sandbox = yield* QuickJsExecutor.make({ workers: 1 })
  // Its leases have always run out: whoever recovers it need not wait.
  const parts = yield* makeEngine(scope, adapter, sandbox, makeTools(effects, tick), {
    leaseMs: -60_000,
    recovery: "resume"
  })
  if (code === undefined) {
    const left = yield* recoverAll(parts, effects)
    return { boundaries, before: 0, end: left?.end } satisfies Done
  }
  const { engine } = parts
  let outcome = yield* engine.executeWithPause(code)
  const before = fork === undefined ? 0 : readEffects(effects).length
  if (fork !== undefined && outcome.status !== "paused") {
    counts = true
    outcome = (yield* engine.fork(outcome.executionId, fork)).outcome
  }
  while (outcome.status === "paused") {
    const { interactions } = yield* parts.store.inbox(parts.scopeId)
    const [asked] = interactions
    if (asked === undefined) return yield* Effect.die(new Error("it waits, and nothing is asked"))
    outcome = yield* engine.resume(outcome.execution.id, answerOf(asked.interaction, effects))
  }
  const { execution } = yield* parts.store.get(parts.scopeId, outcome.executionId)
  return { boundaries, before, end: endOf(execution) } satisfies Done
})

process.once("message", (job: Job) => {
  const given = Effect.catchTag(run(job), "ExecutionInterrupted", ({ reason }) =>
    Effect.succeed<Done>({ boundaries: 0, before: 0, interrupted: reason })
  )
  const told = Effect.map(Effect.scoped(given), (done) => {
    process.send?.(done)
    process.disconnect()
  })
  void Effect.runPromise(Effect.provide(told, Logger.layer([])))
})
process.send?.("ready")
