/**
 * What executions cost that wait for a person: by how much this process grows with 10,000 of them.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { SqliteAdapter } from "@executor/storage-drizzle"
import { Effect } from "effect"
import { join } from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { report } from "../Measure.ts"
import { engineOf } from "./Parts.ts"

const waiting = 10_000

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

const residentMb = () => {
  collectGarbage()
  return process.memoryUsage().rss / 2 ** 20
}

/** Measures in a file of the folder. */
export const measure = Effect.fnUntraced(function* (folder: string) {
  const adapter = yield* SqliteAdapter.make({ file: join(folder, "pauses.sqlite") })
  const { engine } = yield* engineOf(adapter, yield* QuickJsExecutor.make({ idleWorkerMs: 200 }))
  const run = (code: string, count: number) =>
    Effect.forEach(Array.from({ length: count }), () => engine.executeWithPause(code), {
      concurrency: 16,
      discard: true
    })
  const pausing = "await tools.t.kilobyte({ n: 1 }); await tools.t.guarded()"
  // Sandboxes, heap and caches have the size that the work itself takes, whether anything waits after it or not.
  yield* run("await tools.t.kilobyte({ n: 1 })", waiting)
  yield* run(pausing, waiting / 10)
  // Workers that a burst of work has started end when they are idle.
  yield* Effect.sleep(3000)
  const before = residentMb()
  yield* run(pausing, waiting)
  yield* Effect.sleep(3000)
  report({ what: "10,000 paused executions, more memory than none", value: residentMb() - before, unit: "MB", aim: 50 })
})
