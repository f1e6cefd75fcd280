/**
 * `npm run bench`: measures executions, tool calls and the command, and prints each figure with its aim and the ratio to a named
 * baseline that was measured in the same run.
 */
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os"
import { join } from "node:path"
import * as Command from "./Command.ts"
import * as Executions from "./Executions.ts"
import * as Parts from "./Parts.ts"

const folder = mkdtempSync(join(tmpdir(), "executor-bench-"))
try {
  console.log(
    `${cpus()[0]?.model ?? "unknown processor"}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.versions.node}\n`
  )
  await Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const parts = yield* Parts.make(folder)
        yield* Effect.promise(() => Executions.measure(parts, folder))
      })
    )
  )
  await Command.measure(join(folder, "data"))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
