/**
 * Processes that work on the same executions at once, and one that sleeps through its lease: on SQLite and on Postgres.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { ExecutionId } from "@executor/sdk"
import { freshDatabase } from "@executor/storage-drizzle/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Children from "./chaos/children.ts"
import { makeEngine, openDatabase } from "./chaos/parts.ts"
import { programs } from "./chaos/programs.ts"
import type { Race } from "./chaos/racer.ts"
import { recoverAll } from "./chaos/recover.ts"
import { makeTools, readEffects } from "./chaos/tools.ts"

const racers = 8
const count = 200

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "executor-race-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const databases = {
  SQLite: Effect.map(folder, (folder) => join(folder, "history.sqlite")),
  Postgres: freshDatabase
}

/** Has a process race, and gives the executions whose end it has written. */
const runRacer = (race: Race) =>
  Effect.promise(
    () =>
      new Promise<ReadonlyArray<ExecutionId>>((resolve, reject) => {
        let ended: ReadonlyArray<ExecutionId> = []
        const child = Children.start("racer")
        child.once("message", () => {
          child.on("message", (ids) => (ended = ids as typeof ended))
          child.send(race)
        })
        child.once("exit", (code) => (code === 0 ? resolve(ended) : reject(new Error(`racer ${race.number}: ${code}`))))
      })
  )

const isStopped = (pid: number) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.startsWith("T") === true

for (const [name, database] of Object.entries(databases)) {
  describe(`on ${name}`, () => {
    it.live(`${racers} processes resume, recover and cancel ${count} executions: each effect once, each end once`, () =>
      Effect.gen(function* () {
        const scratch = yield* folder
        const url = yield* database
        const effects = join(scratch, "effects")
        const adapter = yield* openDatabase(url)
        const sandbox = yield* QuickJsExecutor.make({ workers: 2 })
        const tools = makeTools(effects, () => {})
        const { engine, scopeId, store } = yield* makeEngine("race", adapter, sandbox, tools, { recovery: "resume" })
        const ids: Array<ExecutionId> = []
        for (let n = 0; n < count / 2; n++) {
          const code = `const { guarded } = await tools.t.guarded({ n: ${n} }); return await tools.t.write({ n: guarded })`
          const paused = yield* engine.executeWithPause(code)
          if (paused.status === "paused") ids.push(paused.execution.id)
          const id = ExecutionId.make(`abandoned-${n}`)
          yield* store.create({
            id,
            scopeId,
            status: "running",
            code: `return await tools.t.write({ n: ${n} })`,
            startedAt: 1,
            sandboxBuild: sandbox.build
          })
          ids.push(id)
        }
        const ends = yield* Effect.forEach(
          Array.from({ length: racers }, (_, number) => number),
          (number) => runRacer({ database: url, scope: "race", effects, ids, number }),
          { concurrency: "unbounded" }
        )
        const endedIds = ends.flat()
        assert.isAbove(endedIds.length, count / 2)
        assert.strictEqual(new Set(endedIds).size, endedIds.length)
        // What a racer handed over as it ended.
        yield* engine.recover
        const ended = yield* Effect.repeat(
          Effect.map(store.list(scopeId, { includeMeta: true, limit: 1 }), ({ meta }) => meta!),
          { until: ({ statusCounts }) => statusCounts.running + statusCounts.pending === 0 }
        )
        const { cancelled, completed, failed } = ended.statusCounts
        assert.strictEqual(cancelled + completed + failed, count)
        const keys = readEffects(effects).map(({ key }) => key)
        assert.strictEqual(new Set(keys).size, keys.length)
        for (const id of ids) {
          const { execution } = yield* store.get(scopeId, id)
          if (execution.status !== "completed") continue
          const calls = yield* store.listToolCalls(scopeId, id)
          assert.deepStrictEqual(
            calls.filter((call) => !keys.includes(call.id)),
            [],
            id
          )
        }
        assert.deepStrictEqual((yield* store.inbox(scopeId)).interactions, [])
      })
    )

    it.live("a process that was stopped past its lease and goes on writes nothing", () =>
      Effect.gen(function* () {
        const scratch = yield* folder
        const url = yield* database
        const adapter = yield* openDatabase(url)
        const sandbox = yield* QuickJsExecutor.make({ workers: 1 })
        const children = yield* Children.make(1)
        for (const killAt of [8, 9, 11]) {
          const scope = `stopped-${killAt}`
          const effects = join(scratch, scope)
          const code = programs["dependent"]!
          const pid = Promise.withResolvers<number>()
          const child = children.run({ database: url, scope, effects, code, killAt, signal: "SIGSTOP" }, pid.resolve)
          const stopped = yield* Effect.promise(() => pid.promise)
          yield* Effect.repeat(
            Effect.andThen(
              Effect.sleep(5),
              Effect.sync(() => isStopped(stopped))
            ),
            { until: (is) => is }
          )
          const { engine, scopeId, store } = yield* makeEngine(
            scope,
            adapter,
            sandbox,
            makeTools(effects, () => {}),
            { recovery: "resume" }
          )
          const left = yield* recoverAll({ engine, scopeId, store }, effects)
          if (left === undefined) return assert.fail("nothing was recorded")
          // Nobody can tell what it did if it was stopped before its first call was recorded.
          assert.strictEqual(left.end.status, left.calls === 0 ? "failed" : "completed", left.end.errorText ?? "")
          const before = yield* store.readJournal(scopeId, left.execution.id)
          process.kill(stopped, "SIGCONT")
          const ended = yield* Effect.promise(() => child)
          assert.strictEqual(ended?.interrupted, "lease_lost", String(killAt))
          assert.deepStrictEqual(yield* store.readJournal(scopeId, left.execution.id), before)
        }
      })
    )
  })
}
