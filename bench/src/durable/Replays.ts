/**
 * Running an execution again from its journal: 1,000 calls with results of 1 KB, replayed to their end, and taken over by another engine.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { Effect } from "effect"
import { join } from "node:path"
import { inTurn, report, time } from "../Measure.ts"
import { engineOf } from "./Parts.ts"

const calls = "let n = 0; for (let i = 0; i < 1000; i++) n += (await tools.t.kilobyte({ n: i })).text.length; "

/** Measures in a file of the folder. */
export const measure = Effect.fnUntraced(function* (folder: string) {
  const adapter = yield* SqliteAdapter.make({ file: join(folder, "replays.sqlite") })
  const sandbox = yield* QuickJsExecutor.make()
  const { engine } = yield* engineOf(adapter, sandbox)
  const { engine: other } = yield* engineOf(adapter, sandbox)
  const live = () => Effect.runPromise(engine.execute(`${calls} return n`))
  const { executionId } = yield* Effect.promise(live)

  const replayed = yield* Effect.promise(() =>
    inTurn(
      7,
      () =>
        time(async () => {
          const { calls, same } = await Effect.runPromise(engine.replay(executionId))
          if (!same || calls !== 1000) throw new Error("the replay is not the same")
        }),
      () => time(live)
    )
  )
  report({
    what: "replaying 1,000 recorded calls of 1 KB",
    value: replayed.subject,
    unit: "ms",
    aim: 150,
    baseline: { what: "running them live", value: replayed.baseline }
  })

  const resumed = yield* Effect.promise(() =>
    inTurn(
      7,
      async () => {
        const paused = await Effect.runPromise(engine.executeWithPause(`${calls} await tools.t.guarded(); return n`))
        if (paused.status !== "paused") throw new Error("it does not wait")
        return time(() => Effect.runPromise(other.resume(paused.execution.id, { action: "accept" })))
      },
      () => time(live)
    )
  )
  report({
    what: "resuming an execution with 1,000 calls in another engine",
    value: resumed.subject,
    unit: "ms",
    baseline: { what: "running them live", value: resumed.baseline }
  })
})
