/**
 * The contention as a command: `npm run chaos -w @executor/storage-drizzle -- [seconds] [writers] [readers]`, a minute of four
 * and four if nothing is said.
 */
import { Effect } from "effect"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { contend, type Fighter } from "./contention.ts"

const [seconds = 60, writers = 4, readers = 4] = process.argv.slice(2).map(Number)

const folder = mkdtempSync(join(tmpdir(), "executor-chaos-"))
const file = join(folder, "executor.db")

const rounds = (fighters: ReadonlyArray<Fighter>, role: Fighter["role"]): string => {
  const counts = fighters.filter((fighter) => fighter.role === role).map((fighter) => fighter.rounds())
  return `${counts.reduce((a, b) => a + b, 0)} (${counts.join(", ")})`
}

try {
  const fighters = await Effect.runPromise(contend(file, { writers, readers }, () => setTimeout(seconds * 1_000)))
  const slowest = Math.max(...fighters.map((fighter) => fighter.slowest()))
  console.log(
    `${writers} writers, ${readers} readers and a repair of the counters on one file for ${seconds} s: nothing failed.`
  )
  console.log(`Rounds of the writers, two executions each: ${rounds(fighters, "write")}`)
  console.log(`Rounds of the readers: ${rounds(fighters, "read")}`)
  console.log(`Repairs: ${rounds(fighters, "repair")}`)
  console.log(
    `The slowest execution was written in ${slowest.toFixed(0)} ms; the file has ${statSync(file).size} bytes.`
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
