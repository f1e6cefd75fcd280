/**
 * `npm run bench:history`: fills both databases with histories of three sizes, and measures lists, counts, searches and writes in
 * each, as it says in the README.
 *
 * Flags: `--size 10000,100000` and `--database sqlite` measure less; `--only text` those figures whose name has it; `--all` prints
 * each filter besides the worst; `--file path` keeps the SQLite file of the largest size there, and uses it again if it is there.
 */
import { Effect } from "effect"
import { sharePostgres } from "@executor/storage-drizzle/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, cpus, loadavg, tmpdir, totalmem } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { check, type Kind, postgres, sqlite } from "./Databases.ts"
import { type Figure, lagDuring, measure } from "./Measures.ts"
import { growthTable, lineOf } from "./Report.ts"

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "10000,100000,1000000" },
    database: { type: "string", default: "sqlite,postgres" },
    only: { type: "string" },
    all: { type: "boolean", default: false },
    file: { type: "string" }
  }
})
const sizes = values.size.split(",").map(Number)
if (sizes.some((size) => !Number.isInteger(size) || size < 1_000)) {
  throw new Error("--size: expected numbers of at least 1000, with commas between them.")
}
const largest = Math.max(...sizes)
const { only } = values
const wanted = only === undefined ? undefined : (name: string) => name.includes(only) || name.startsWith("baseline")

const folder = mkdtempSync(join(tmpdir(), "executor-bench-history-"))
const kinds: ReadonlyArray<Kind> = values.database.split(",").map((name) => {
  if (name === "postgres") return postgres
  if (name !== "sqlite") throw new Error("--database: expected sqlite or postgres, or both with a comma.")
  return sqlite(folder, values.file === undefined ? undefined : { file: values.file, executions: largest })
})

const measureSize = (kind: Kind, executions: number): Effect.Effect<ReadonlyArray<Figure>, unknown> =>
  Effect.scoped(
    Effect.gen(function* () {
      console.log(`\n${kind.name}, ${executions.toLocaleString("en")} executions (load ${loadavg()[0]?.toFixed(1)})`)
      const { adapter, fillMillis, indexMillis, overheadBytes } = yield* kind.fill(executions)
      const figures: Array<Figure> = []
      const report = (figure: Figure) => {
        figures.push(figure)
        console.log(lineOf(figure, figures[0]))
      }
      let worst = { name: "", ms: 0, options: {} }
      const onQuery = (name: string, ms: number, options: object) => {
        if (values.all) console.log(`  ${name.padEnd(90)} ${ms.toFixed(2).padStart(9)} ms`)
        if (ms > worst.ms) worst = { name, ms, options }
      }
      const subject = { adapter, executions, overheadBytes, onQuery, aimsAtWrites: kind.aimsAtWrites }
      yield* Effect.promise(() => measure(subject, wanted, report))
      if (fillMillis !== undefined) report({ name: "filling", unit: "s", aim: 180, value: fillMillis / 1000 })
      if (indexMillis > 0) report({ name: "indexing the text", unit: "s", value: indexMillis / 1000 })
      const name = "event loop lag at p99, during the worst query"
      if (wanted?.(name) ?? true) {
        const value = yield* Effect.promise(() => lagDuring(subject, worst.options))
        report({ name, unit: "ms", aim: 20, value, note: worst.name })
      }
      return figures
    })
  )

const run = Effect.gen(function* () {
  for (const kind of kinds) {
    const rows = yield* Effect.scoped(check(kind))
    console.log(`\n${kind.name}: ${rows} rows and all lists of a filled history are what the store writes.`)
    const bySize = new Map<number, ReadonlyArray<Figure>>()
    for (const size of sizes) bySize.set(size, yield* measureSize(kind, size))
    console.log(`\n${growthTable(kind.name, bySize)}`)
  }
})

console.log(
  `${cpus()[0]?.model ?? "unknown processor"}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.versions.node}`
)
process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1))
const endPostgres = await sharePostgres()
try {
  await Effect.runPromise(run)
} finally {
  await endPostgres()
}
