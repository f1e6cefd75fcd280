/**
 * Processes that are killed with SIGKILL between any two of their steps, and another that goes on: on SQLite and on Postgres. Each
 * effect happens once, and the result is that of the undisturbed run.
 *
 * `EXECUTOR_CHAOS_KILLS` says how many are killed in all, 500 by default.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { freshDatabase } from "@executor/storage-drizzle/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Children from "./chaos/children.ts"
import { makeEngine, openDatabase } from "./chaos/parts.ts"
import { programs } from "./chaos/programs.ts"
import { recoverAll } from "./chaos/recover.ts"
import { makeTools, readEffects } from "./chaos/tools.ts"

const kills = Number(process.env["EXECUTOR_CHAOS_KILLS"] ?? 500)

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "executor-chaos-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const databases = {
  SQLite: Effect.map(folder, (folder) => join(folder, "history.sqlite")),
  Postgres: freshDatabase
}

/** No call has had its effect twice, but for those that may be repeated. */
const once = new Set(["write", "guarded", "flaky", "keyed"])

describe("a process that is killed at any step", () => {
  for (const [name, database] of Object.entries(databases)) {
    it.live(
      `is gone on with by another, on ${name}`,
      () =>
        Effect.gen(function* () {
          const scratch = yield* folder
          const url = yield* database
          const adapter = yield* openDatabase(url)
          const sandbox = yield* QuickJsExecutor.make({ workers: 2 })
          const children = yield* Children.make(3, join(scratch, "compiled"))

          const undisturbed = yield* Effect.forEach(
            Object.entries(programs),
            ([program, code]) =>
              Effect.promise(async () => {
                const effects = join(scratch, `${program}.undisturbed`)
                const done = await children.run({ database: url, scope: program, effects, code, killAt: 0 })
                if (done === undefined) throw new Error(`${program} was killed`)
                return { program, code, done, effects: readEffects(effects).length }
              }),
            { concurrency: 2 }
          )

          const each = Math.ceil(kills / 2)
          let killed = 0
          const turns = Array.from({ length: each }, (_, turn) => turn)
          yield* Effect.forEach(
            turns,
            Effect.fnUntraced(function* (turn) {
              const chosen = undisturbed[turn % undisturbed.length]!
              const { code, done, program } = chosen
              const killAt = (Math.floor(turn / undisturbed.length) % done.boundaries) + 1
              const scope = `${program}-${turn}`
              const effects = join(scratch, scope)
              const what = `${program} killed at boundary ${killAt} of ${done.boundaries}`
              const survived = yield* Effect.promise(() =>
                children.run({ database: url, scope, effects, code, killAt })
              )
              if (survived === undefined) killed++
              const left = yield* Effect.scoped(
                Effect.flatMap(
                  makeEngine(
                    scope,
                    adapter,
                    sandbox,
                    makeTools(effects, () => {}),
                    { recovery: "resume" }
                  ),
                  (parts) => recoverAll(parts, effects)
                )
              ).pipe(Effect.timeout("20 seconds"), Effect.orDie)
              const seen = readEffects(effects)
              if (left === undefined) return assert.strictEqual(seen.length, 0, what)
              const { execution, openCalls, openQuestions } = left
              assert.strictEqual(execution.resultJson ?? undefined, done.resultJson, `${what}: ${execution.errorText}`)
              assert.deepStrictEqual([openCalls, openQuestions], [0, 0], what)
              const keys = seen.filter(({ tool }) => once.has(tool)).map(({ key }) => key)
              assert.strictEqual(new Set(keys).size, keys.length, `${what}: ${keys.join(" ")}`)
            }),
            { concurrency: 3, discard: true }
          )
          assert.isAbove(killed, each * 0.9)
        }),
      Math.max(300_000, kills * 1000)
    )
  }
})
