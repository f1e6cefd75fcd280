/**
 * `npm run bench:durable`: what it costs that executions outlive their process, with each figure's aim and a baseline of the same run.
 */
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os"
import { join } from "node:path"
import * as Leases from "./Leases.ts"
import * as Pauses from "./Pauses.ts"
import * as Replays from "./Replays.ts"
import * as Resume from "./Resume.ts"

const folder = mkdtempSync(join(tmpdir(), "executor-bench-durable-"))
try {
  console.log(
    `${cpus()[0]?.model ?? "unknown processor"}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.versions.node}\n`
  )
  await Effect.runPromise(Effect.scoped(Replays.measure(folder)))
  await Effect.runPromise(Effect.scoped(Leases.measure(folder)))
  await Effect.runPromise(Effect.scoped(Pauses.measure(folder)))
  await Resume.measure(join(folder, "data"))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
