/**
 * Processes that are killed with SIGKILL between any two of their steps, and another that goes on, which may be killed as well: on SQLite
 * and on Postgres. Each effect happens once, and the end is that of the undisturbed run.
 *
 * `EXECUTOR_CHAOS_KILLS` says how many are killed in all, 500 by default. Between them the databases come to each boundary of each program.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { freshDatabase } from "@executor/storage-drizzle/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Children from "./chaos/children.ts"
import type { Job } from "./chaos/child.ts"
import { makeEngine, openDatabase } from "./chaos/parts.ts"
import { forks, programs } from "./chaos/programs.ts"
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

const jobs: ReadonlyArray<{ readonly program: string; readonly code: string; readonly fork?: string }> = [
  ...Object.entries(programs).map(([program, code]) => ({ program, code })),
  ...Object.entries(forks).map(([program, both]) => ({ program, ...both }))
]

/** Tools whose calls must have their effect once; the others may repeat it. */
const once = new Set(["write", "guarded", "flaky", "keyed", "lost"])

/** The calls whose effect must happen once, each as often as it did. */
const onceIn = (effects: string): ReadonlyArray<string> =>
  readEffects(effects)
    .filter(({ tool }) => once.has(tool))
    .map(({ key, tool }) => `${tool} ${key?.split(":")[1]}`)
    .toSorted()

/** A process that recovers is killed at one of its first boundaries. */
const recoveryKills = 16

/** How many processes that recover are killed, before one may come to the end. */
const recoveriesOf = (turn: number): number => (turn % 9 === 8 ? 2 : turn % 3 === 2 ? 1 : 0)

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
          const children = yield* Children.make(3)

          const undisturbed = yield* Effect.forEach(
            jobs,
            ({ code, fork, program }) =>
              Effect.promise(async () => {
                const effects = join(scratch, `${program}.undisturbed`)
                const done = await children.run({ database: url, scope: program, effects, code, fork, killAt: 0 })
                if (done === undefined) throw new Error(`${program} was killed`)
                const { before, boundaries, end } = done
                return { program, code, fork, before, boundaries, end, effects: onceIn(effects) }
              }),
            { concurrency: 2 }
          )

          const points = undisturbed.flatMap((undisturbed) =>
            Array.from({ length: undisturbed.boundaries }, (_, boundary) => ({ ...undisturbed, killAt: boundary + 1 }))
          )
          // The databases begin elsewhere: between them, few kills come to all boundaries too.
          const first = name === "SQLite" ? 0 : Math.floor(points.length / 2)
          const done = { turns: 0, kills: 0 }
          const kill = (job: Job) =>
            Effect.map(
              Effect.promise(() => children.run(job)),
              (survived) => {
                if (survived === undefined) done.kills++
              }
            )
          const disturb = Effect.fnUntraced(function* (turn: number) {
            const {
              before,
              code,
              effects: happened,
              end,
              fork,
              killAt,
              program
            } = points[(turn + first) % points.length]!
            const scope = `${program}-${turn}`
            const effects = join(scratch, scope)
            const what = `${program}, killed at boundary ${killAt}`
            yield* kill({ database: url, scope, effects, code, fork, killAt })
            for (let recoveries = recoveriesOf(turn); recoveries > 0; recoveries--) {
              const killAt = 1 + (Math.floor(turn / 3) % recoveryKills)
              yield* kill({ database: url, scope, effects, code: undefined, killAt })
            }
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
            ).pipe(Effect.timeout("5 minutes"), Effect.orDie)
            const began = left !== undefined && (fork === undefined || left.execution.parentExecutionId !== null)
            if (!began) return assert.strictEqual(readEffects(effects).length, before, what)
            if (left.calls === 0) {
              // Lost before its first call was recorded: whether it made one cannot be seen, so it is not run again.
              assert.match(left.end.errorText ?? "", /before a call was recorded/, what)
              return assert.strictEqual(readEffects(effects).length, before, what)
            }
            assert.deepStrictEqual(left.end, end, what)
            assert.deepStrictEqual([left.openCalls, left.openQuestions], [0, 0], what)
            assert.deepStrictEqual(onceIn(effects), happened, what)
          })
          const each = Math.ceil(kills / 2)
          const lane = Effect.gen(function* () {
            while (done.kills < each) yield* disturb(done.turns++)
          })
          yield* Effect.all([lane, lane, lane], { concurrency: "unbounded", discard: true })
        }),
      Math.max(600_000, kills * 10_000)
    )
  }
})
