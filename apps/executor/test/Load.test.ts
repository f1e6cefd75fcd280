/**
 * A server that gets thousands of submissions at once: on SQLite and on Postgres, undisturbed and killed in the middle. Whom it takes it
 * serves whole, whom it cannot take it refuses, and no write is made twice.
 *
 * `EXECUTOR_LOAD` says how many come, 2,000 by default. How many of them are refused depends on how fast they come. Memory and answer times are printed
 * always, and are only held to their bounds with `EXECUTOR_LOAD_FIGURES=1`: a busy machine must not fail the gate.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Recorded } from "./load/databases.ts"
import { type Answer, writesEach } from "./load/submission.ts"
import { doubledIn, errorsIn, reportOf } from "./load/report.ts"
import { type LoadOptions, type LoadOutcome, runLoad } from "./load/run.ts"

const count = Number(process.env["EXECUTOR_LOAD"] ?? 2_000)
const holdsFigures = process.env["EXECUTOR_LOAD_FIGURES"] === "1"
const maxMemoryMb = 600
const maxHealthMs = 200

/** Far more than it takes: what is slow is no failure here. */
const timeoutMs = Math.max(1_800_000, count * 500)

/** Why an execution whose process was killed may end as failed: nobody can tell any more what it did. */
const excuses = /cannot be run from its journal/

/** What a failure shows of a long list. */
const some = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> => items.slice(0, 5)

/** Both bounds are named with their values, and the header says the same time as the body. */
const tellsLimit = (text: string, retryAfter: string | undefined): boolean => {
  const { detail, limit, retryAfterMs, value } = JSON.parse(text)
  return (
    limit === "queuedExecutions" &&
    /\d+ executions at once .*concurrentExecutions.*queuedExecutions/.test(detail) &&
    detail.includes(String(value)) &&
    retryAfter === String(Math.ceil(retryAfterMs / 1000))
  )
}

const isRefusal = ({ contentType, retryAfter, status, text }: Answer): boolean =>
  status === 429 &&
  /^[1-9]\d*$/.test(retryAfter ?? "") &&
  contentType === "application/problem+json" &&
  tellsLimit(text, retryAfter)

/** The execution of a caller who was told its own result. */
const servedIn = ({ number, status, text }: Answer): string | undefined => {
  if (status !== 200) return undefined
  const told = JSON.parse(text)
  return told.status === "completed" && told.resultJson === String(number) ? told.executionId : undefined
}

const isWhole = ({ calls, journalComplete, status }: Recorded): boolean =>
  status === "completed" && journalComplete && calls["completed"] === writesEach && Object.keys(calls).length === 1

const countEffects = (effects: LoadOutcome["effects"]): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const key of effects) {
    const [id = ""] = key.split(":")
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  return counts
}

const run = Effect.fnUntraced(function* (options: LoadOptions) {
  const outcome = yield* runLoad(options)
  console.log(`${reportOf(options, outcome)}\n`)
  assert.strictEqual(outcome.answers.length, count)
  assert.isTrue(outcome.settled, "what was under way came to its end")
  const { health, used } = outcome
  assert.strictEqual(health.failed, 0, "failures of /health")
  if (holdsFigures) {
    if (used.peakMemoryMb !== undefined) assert.isAtMost(used.peakMemoryMb, maxMemoryMb, "megabytes of memory")
    assert.isAtMost(health.maxMs, maxHealthMs, "milliseconds of /health")
  }
  return outcome
})

const told = "callers were told something else than their result, or a refusal that says when to come again"

describe("a server that gets everything at once", () => {
  for (const database of ["SQLite", "Postgres"] as const) {
    it.live(
      `serves whom it takes and refuses the others, on ${database}`,
      () =>
        Effect.gen(function* () {
          const { answers, droppedWrites, effects, executions } = yield* run({ database, count, kill: false })
          const wrong = answers.filter((answer) => servedIn(answer) === undefined && !isRefusal(answer))
          assert.deepStrictEqual(some(wrong), [], told)
          const served = new Set(answers.flatMap((answer) => servedIn(answer) ?? []))
          assert.isAbove(served.size, 0, "served")
          assert.deepStrictEqual(some(executions.filter(({ id }) => !served.has(id))), [], "nobody's executions")
          assert.strictEqual(executions.length, served.size, "executions")
          assert.deepStrictEqual(some(executions.filter((execution) => !isWhole(execution))), [], "records with gaps")
          assert.deepStrictEqual(some(doubledIn(effects)), [], "writes made twice")
          const strangers = effects.filter((key) => !served.has(key.split(":")[0] ?? ""))
          assert.deepStrictEqual(some(strangers), [], "writes of nobody who was served")
          assert.strictEqual(effects.length, served.size * writesEach, "writes")
          assert.strictEqual(droppedWrites, 0, "dropped writes")
        }),
      timeoutMs
    )

    it.live(
      `is killed, and the next one goes on, on ${database}`,
      () =>
        Effect.gen(function* () {
          const outcome = yield* run({ database, count, kill: true })
          const { answers, effects, executions } = outcome
          const answered = answers.filter(({ status }) => status !== undefined)
          const wrong = answered.filter((answer) => servedIn(answer) === undefined && !isRefusal(answer))
          assert.deepStrictEqual(some(wrong), [], told)
          assert.isBelow(answered.length, count, "answers, so that the server was killed before the last")

          assert.deepStrictEqual(some(doubledIn(effects)), [], "writes made twice")
          const byId = new Map(executions.map((execution) => [execution.id, execution]))
          const made = countEffects(effects)
          assert.deepStrictEqual(some([...made.keys()].filter((id) => !byId.has(id))), [], "writes without a record")
          const completed = executions.filter(({ status }) => status === "completed")
          const partial = completed.filter(({ id }) => made.get(id) !== writesEach)
          assert.deepStrictEqual(some(partial), [], "completed without all writes")
          const lost = answered.filter((answer) => {
            const id = servedIn(answer)
            return id !== undefined && byId.get(id)?.status !== "completed"
          })
          assert.deepStrictEqual(some(lost), [], "told their result, and not recorded as completed")

          const others = executions.filter(({ status }) => status !== "completed")
          const unexcused = others.filter(
            ({ errorText, status }) => status !== "failed" || !excuses.test(errorText ?? "")
          )
          assert.deepStrictEqual(some(unexcused), [], `ends that are not excused; all: ${errorsIn(outcome).join("; ")}`)
          assert.deepStrictEqual(some(executions.filter(({ calls }) => "running" in calls)), [], "calls left running")
        }),
      timeoutMs
    )
  }
})
