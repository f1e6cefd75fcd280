/**
 * One of several processes that resume, recover and cancel the same executions. What it is refused is right; what it does must be done
 * once.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import type { ExecutionId } from "@executor/sdk"
import { Effect, Logger, Stream } from "effect"
import { makeEngine, openDatabase } from "./parts.ts"
import { makeTools } from "./tools.ts"

/** What a racer is to do. */
export interface Race {
  readonly database: string
  readonly scope: string
  readonly effects: string
  readonly ids: ReadonlyArray<ExecutionId>
  /** Which of the racers it is, from 0: each takes its own way through the executions. */
  readonly number: number
}

/** What the one that comes late is told; a database that is locked, or a deadlock, is none. */
const isRefusal = ({ _tag }: { readonly _tag: string }) => _tag !== "DBError"

const race = Effect.fnUntraced(function* ({ database, effects, ids, number, scope }: Race) {
  const adapter = yield* openDatabase(database)
  const sandbox = yield* QuickJsExecutor.make({ workers: 1 })
  const tools = makeTools(effects, () => {})
  const { engine } = yield* makeEngine(scope, adapter, sandbox, tools, { recovery: "resume" })
  const order = ids.map((id, i) => ({ id, key: Math.imul(i + 1, 2_654_435_761 + number * 40_503) >>> 0 }))
  const recovers = number % 2 === 0 ? engine.recover : Effect.void
  const resumeOrCancel = Effect.fnUntraced(function* (id: ExecutionId, key: number) {
    if (key % 10 === 0) yield* engine.cancel(id)
    else yield* engine.resume(id, { action: "accept" })
  })
  const runs = Effect.forEach(
    order.toSorted((a, b) => a.key - b.key),
    ({ id, key }) => Effect.catchIf(resumeOrCancel(id, key), isRefusal, () => Effect.void),
    { concurrency: 4, discard: true }
  )
  const ended: Array<ExecutionId> = []
  const ends = Stream.runForEach(engine.events, (event) =>
    Effect.sync(() => {
      if (event._tag === "ExecutionFinished") ended.push(event.executionId)
    })
  )
  yield* Effect.forkChild(ends, { startImmediately: true })
  yield* Effect.all([recovers, runs], { concurrency: 2 })
  return ended
})

process.once("message", (message: Race) => {
  // On a busy machine a write may take longer than it may: what matters is what was done.
  const told = Effect.map(Effect.scoped(race(message)), (ended) => {
    process.send?.(ended)
    process.disconnect()
  })
  void Effect.runPromise(Effect.provide(told, Logger.layer([])))
})
process.send?.("ready")
