/**
 * Processes that fight for one SQLite file: some write, some read, and one makes the counters anew the whole time.
 *
 * None may fail (with "database is locked", say), nothing that was reported may be lost, and at the end the counters must be those of
 * a full count. `Contention.test.ts` runs it for a few seconds; `main.ts` for as long as it is told.
 */
import { DBExecutionStore, ScopeId } from "@executor/sdk"
import { Rollups, SqliteAdapter } from "@executor/storage-drizzle"
import Database from "better-sqlite3"
import { Effect, type Scope } from "effect"
import assert from "node:assert/strict"
import { type ChildProcessByStdio, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import { callsOf, keptScope, statusOf } from "./plan.ts"

const processFile = fileURLToPath(new URL("./process.ts", import.meta.url))

type Role = "write" | "read" | "repair"

/** One process. */
export interface Fighter {
  readonly role: Role
  readonly name: string
  /** How many rounds it has finished. */
  readonly rounds: () => number
  /** Waits until it has finished so many. */
  readonly reached: (rounds: number) => Promise<void>
  /** The slowest execution of a writer, in milliseconds, once it has ended. */
  readonly slowest: () => number
  readonly stop: () => void
  /** Its error output and exit code, when it has ended. */
  readonly ended: Promise<{ readonly errors: string; readonly code: number | null }>
}

const startFighter = (file: string, role: Role, name: string): Effect.Effect<Fighter, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync((): ChildProcessByStdio<Writable, Readable, Readable> =>
        spawn(process.execPath, ["--conditions=@executor/source", processFile, file, role, name], {
          stdio: ["pipe", "pipe", "pipe"]
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) => {
      let rounds = 0
      let slowest = 0
      let errors = ""
      const lines = createInterface(child.stdout)
      lines.on("line", (line) => {
        const [word, number] = line.split(" ")
        if (word === "done") rounds = Number(number) + 1
        if (word === "slowest") slowest = Number(number)
      })
      child.stderr.on("data", (chunk) => {
        errors += String(chunk)
      })
      child.stdin.on("error", () => undefined)
      return {
        role,
        name,
        rounds: () => rounds,
        reached: (wanted) =>
          new Promise((resolve) => {
            const look = () => {
              if (rounds >= wanted) resolve()
            }
            lines.on("line", look)
            look()
          }),
        slowest: () => slowest,
        stop: () => child.stdin.end(),
        ended: once(child, "close").then(([code]) => ({ errors, code }))
      }
    }
  )

/** How many of each. */
export interface Sides {
  readonly writers: number
  readonly readers: number
}

/** Lets them fight until `enough` is over, and fails with what went wrong. */
export const contend = Effect.fnUntraced(function* (
  file: string,
  { readers, writers }: Sides,
  enough: (fighters: ReadonlyArray<Fighter>) => Promise<void>
) {
  const named = (role: Role, count: number) =>
    Array.from({ length: count }, (_, index) => startFighter(file, role, `${role}${index}`))
  const fighters = yield* Effect.all([...named("write", writers), ...named("read", readers), ...named("repair", 1)])
  // One that fails ends the fight, and what it says is found below.
  const failed = fighters.map(async ({ ended }) => void (await ended))
  yield* Effect.promise(() => Promise.race([enough(fighters), ...failed]))
  for (const { stop } of fighters) stop()
  for (const { ended, name } of fighters) {
    assert.deepEqual({ name, ...(yield* Effect.promise(() => ended)) }, { name, errors: "", code: 0 })
  }
  yield* checkAll(
    file,
    fighters.filter(({ role }) => role === "write")
  )
  return fighters
}, Effect.scoped)

/** Compares what is in the file with what the writers have reported. */
const checkAll = Effect.fnUntraced(function* (file: string, writers: ReadonlyArray<Fighter>) {
  const expected = new Map(
    writers.flatMap(({ name, rounds }) =>
      Array.from({ length: rounds() }, (_, round) => [
        `${name}-${round}`,
        `${statusOf(round)}, ${callsOf(round)} calls`
      ])
    )
  )
  const adapter = yield* SqliteAdapter.make({ file })
  const kept = { op: "eq", column: "scope_id", value: keptScope } as const
  const rows = yield* adapter.find({ table: "execution", where: kept, select: ["id", "status", "tool_call_count"] })
  const found = new Map(rows.map((row) => [String(row["id"]), `${row["status"]}, ${row["tool_call_count"]} calls`]))
  assert.deepEqual(found, expected)
  const calls = yield* adapter.count({ table: "execution_tool_call", where: kept })
  assert.equal(
    calls,
    writers.flatMap(({ rounds }) => Array.from({ length: rounds() }, (_, i) => callsOf(i))).reduce(sum, 0)
  )

  assert.deepEqual(yield* Rollups.check({ database: file }), [])
  const rebuilt = yield* Rollups.repair({ database: file })
  assert.equal(
    rebuilt.reduce((total, { removed, written }) => total + removed + written, 0),
    0
  )
  const { meta } = yield* DBExecutionStore.make(adapter).list(ScopeId.make(keptScope), { includeMeta: true })
  const counted = yield* adapter.countBy({ table: "execution", where: kept, by: [{ column: "status" }] })
  assert.equal(meta?.totalRowCount, expected.size)
  const counts = Object.entries(meta?.statusCounts ?? {}).filter(([, count]) => count > 0)
  assert.deepEqual(Object.fromEntries(counts), Object.fromEntries(counted.map(({ count, keys }) => [keys[0], count])))
  const database = new Database(file)
  try {
    assert.equal(database.pragma("integrity_check", { simple: true }), "ok")
    assert.deepEqual(database.pragma("foreign_key_check"), [])
  } finally {
    database.close()
  }
})

const sum = (a: number, b: number): number => a + b
