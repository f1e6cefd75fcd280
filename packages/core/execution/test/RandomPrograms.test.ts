/**
 * Random programs whose calls depend on what came back before, and in which order: taken over by another engine at a random point, they
 * never leave their journal. `EXECUTOR_PROPERTY_RUNS` says how many programs, 1,000 by default.
 */
import type { ExecutionEngine } from "@executor/execution"
import { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { DBAdapter, MemoryAdapter, tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as fc from "fast-check"
import { engineOf } from "./support/harness.ts"

const programs = Number(process.env["EXECUTOR_PROPERTY_RUNS"] ?? 1000)

const Work = Schema.Struct({ turns: Schema.Int, fails: Schema.Boolean, after: Schema.Array(Schema.Int) })

const nextTurn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Takes some turns of the event loop, so that calls overtake each other. */
const work = tool({
  name: "work",
  description: "Works.",
  annotations: { readOnly: true },
  input: Work,
  handler: ({ after, fails, turns }) =>
    Effect.gen(function* () {
      for (let turn = 0; turn < turns; turn++) yield* nextTurn
      return fails ? yield* Effect.fail(new Error("fails")) : { turns, of: after.length }
    })
})

/** Lanes run beside each other, the calls of a lane one after the other; some race. */
const call = fc.record({ turns: fc.integer({ min: 0, max: 6 }), fails: fc.boolean() })
const group = fc.record({ races: fc.boolean(), calls: fc.array(call, { minLength: 1, maxLength: 3 }) })
const program = fc.array(fc.array(group, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 4 })

/** What a call is made with tells which calls had settled by then, in their order. */
const codeOf = (lanes: unknown): string => `
  let next = 0
  const settled = []
  const one = (each) => {
    const id = next++
    const note = () => settled.push(id)
    return tools.t.work({ ...each, after: settled.slice(-4) }).then(note, note)
  }
  const lane = async (groups) => {
    for (const { calls, races } of groups) await (races ? Promise.race(calls.map(one)) : Promise.all(calls.map(one)))
  }
  await Promise.all(${JSON.stringify(lanes)}.map(lane))
  return settled.length`

/** One engine after the other loses the execution, at a write of its own: so many. A write takes some turns before it is done and after. */
const takeover = fc.record({ atWrite: fc.integer({ min: 2, max: 30 }), isWritten: fc.boolean() })
const turns = fc.integer({ min: 0, max: 5 })
const cases = (count: number) =>
  fc.sample(
    fc.record({
      lanes: program,
      takeovers: fc.array(takeover, { minLength: 1, maxLength: 3 }),
      delays: fc.array(fc.tuple(turns, turns), { minLength: 1, maxLength: 20 })
    }),
    { numRuns: count, seed: 4 }
  )

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("random programs", (it) => {
  it.effect(
    "taken over at a random point do not leave their journal",
    () =>
      Effect.gen(function* () {
        let taken = 0
        for (const { delays, lanes, takeovers } of cases(programs)) {
          const code = codeOf(lanes)
          yield* Effect.scoped(
            Effect.gen(function* () {
              const memory = MemoryAdapter.make()
              const last = yield* engineOf([work], { adapter: memory, recovery: "resume" })
              let { engine } = last
              let delayed = 0
              for (const { atWrite, isWritten } of takeovers) {
                const next = engine
                let writes = 0
                const adapter = DBAdapter.of({
                  ...memory,
                  write: Effect.fnUntraced(function* (operations) {
                    const isLast = ++writes === atWrite
                    const [before, after] = delays[delayed++ % delays.length]!
                    if (isLast && !isWritten) yield* takeOver(next)
                    for (let turn = 0; turn < before; turn++) yield* nextTurn
                    const rows = yield* memory.write(operations)
                    if (isLast && isWritten) yield* takeOver(next)
                    for (let turn = 0; turn < after; turn++) yield* nextTurn
                    return rows
                  })
                })
                engine = (yield* engineOf([work], { adapter, recovery: "resume", leaseMs: -60_000 })).engine
              }
              const takeOver = (next: ExecutionEngine) =>
                Effect.andThen(
                  Effect.sync(() => taken++),
                  Effect.uninterruptible(Effect.orDie(next.recover))
                )
              yield* Effect.exit(engine.executeWithPause(code))
              const look = Effect.andThen(nextTurn, last.history.rows)
              const [row] = yield* Effect.repeat(look, { until: ([row]) => row?.status !== "running" })
              if (row === undefined) return assert.fail("it is not recorded")
              assert.strictEqual(row.errorText, null, `${JSON.stringify({ takeovers, delays })}: ${code}`)
              assert.strictEqual(row.status, "completed")
              const replayed = yield* last.engine.replay(row.id)
              assert.isTrue(replayed.same, code)
            })
          )
        }
        assert.isAbove(taken, programs / 2)
      }),
    300_000
  )

  it.effect("do leave it where a recorded outcome is told as soon as its call is made: the order is needed", () =>
    Effect.gen(function* () {
      const sandbox = yield* CodeExecutor
      let diverged = 0
      const tried = cases(50)
      for (const { lanes } of tried) {
        const code = codeOf(lanes)
        const { engine, history } = yield* engineOf([work])
        const { executionId } = yield* engine.execute(code)
        const calls = yield* history.calls(executionId)
        const { seed } = yield* history.row(executionId)
        let same = true
        yield* sandbox.execute(
          code,
          {
            invoke: ({ argsJson, seq = 0 }) =>
              Effect.sync(() => {
                same &&= calls[seq]?.argsJson === argsJson
                return null
              })
          },
          { seed }
        )
        if (!same) diverged++
      }
      assert.isAbove(diverged, tried.length / 2)
    })
  )
})
