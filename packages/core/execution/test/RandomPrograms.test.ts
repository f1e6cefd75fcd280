/**
 * Random programs whose calls depend on what came back before, and in which order: taken over by another engine at a random point, they
 * never leave their journal. `EXECUTOR_PROPERTY_RUNS` says how many programs, 1,000 by default.
 */
import type { ExecutionEngine } from "@executor/execution"
import { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { DBAdapter, MemoryAdapter, tool, type WriteOperation } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema, Semaphore } from "effect"
import * as fc from "fast-check"
import { engineOf, nextTurn } from "./support/harness.ts"

const programs = Number(process.env["EXECUTOR_PROPERTY_RUNS"] ?? 1000)

const Work = Schema.Struct({ id: Schema.Int, fails: Schema.Boolean, after: Schema.Array(Schema.Int) })

const rest = Effect.fnUntraced(function* (turns: number) {
  for (let turn = 0; turn < turns; turn++) yield* nextTurn
})

/** Takes some turns of the event loop, another time others, so that calls overtake each other. */
const makeWork = (turns: () => number) =>
  tool({
    name: "work",
    description: "Works.",
    annotations: { readOnly: true },
    input: Work,
    handler: ({ after, fails, id }) =>
      Effect.gen(function* () {
        yield* rest(turns())
        return fails ? yield* Effect.fail(new Error("fails")) : { id, of: after.length }
      })
  })

/** Lanes run beside each other, the calls of a lane one after the other; some race. */
const call = fc.record({ fails: fc.boolean() })
const group = fc.record({ races: fc.boolean(), calls: fc.array(call, { minLength: 1, maxLength: 3 }) })
const program = fc.array(fc.array(group, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 4 })

/** What a call is made with tells which calls had settled by then, in their order. */
const codeOf = (lanes: unknown): string => `
  let next = 0
  const settled = []
  const one = (each) => {
    const id = next++
    const note = () => settled.push(id)
    return tools.t.work({ ...each, id, after: settled.slice(-4) }).then(note, note)
  }
  const lane = async (groups) => {
    for (const { calls, races } of groups) await (races ? Promise.race(calls.map(one)) : Promise.all(calls.map(one)))
  }
  await Promise.all(${JSON.stringify(lanes)}.map(lane))
  return settled.length`

/** One engine after the other loses the execution, before or after a write of its own. */
const takeover = fc.record({ atWrite: fc.integer({ min: 2, max: 30 }), isWritten: fc.boolean() })
const cases = (count: number) =>
  fc.sample(
    fc.record({
      lanes: program,
      takeovers: fc.array(takeover, { minLength: 1, maxLength: 3 }),
      // What a call takes, and a write before it is done and after.
      turns: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 40 })
    }),
    { numRuns: count, seed: 4 }
  )

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("random programs", (it) => {
  it.effect("taken over at a random point do not leave their journal", () =>
    Effect.gen(function* () {
      let taken = 0
      for (const { lanes, takeovers, turns } of cases(programs)) {
        const code = codeOf(lanes)
        yield* Effect.scoped(
          Effect.gen(function* () {
            let turn = 0
            const nextTurns = () => turns[turn++ % turns.length] ?? 0
            const work = makeWork(nextTurns)
            const memory = MemoryAdapter.make()
            const last = yield* engineOf([work], { adapter: memory, recovery: "resume" })
            let { engine } = last
            // Nobody goes on with what was lost before a call was noted.
            let isNoted = false
            const notesCall = (operation: WriteOperation) =>
              operation.op === "insert" && operation.table === "execution_tool_call"
            for (const { atWrite, isWritten } of takeovers) {
              const next = engine
              let writes = 0
              // As every adapter does, it applies units in the order in which they come.
              const inOrder = Semaphore.makeUnsafe(1)
              const adapter = DBAdapter.of({
                ...memory,
                write: Effect.fnUntraced(function* (operations) {
                  const isLast = isNoted && ++writes === atWrite
                  isNoted ||= operations.some(notesCall)
                  const written = Effect.gen(function* () {
                    if (isLast && !isWritten) yield* takeOver(next)
                    yield* rest(nextTurns())
                    return yield* memory.write(operations)
                  })
                  const rows = yield* inOrder.withPermits(1)(written)
                  if (isLast && isWritten) yield* takeOver(next)
                  yield* rest(nextTurns())
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
            assert.strictEqual(row.errorText, null, `${JSON.stringify({ takeovers, turns })}: ${code}`)
            assert.strictEqual(row.status, "completed")
            const replayed = yield* last.engine.replay(row.id)
            assert.isTrue(replayed.same, code)
          })
        )
      }
      assert.isAbove(taken, programs / 2)
    })
  )

  it.effect("do leave it where a recorded outcome is told as soon as its call is made: the order is needed", () =>
    Effect.gen(function* () {
      const sandbox = yield* CodeExecutor
      let diverged = 0
      const tried = cases(50)
      for (const { lanes, turns } of tried) {
        let turn = 0
        const code = codeOf(lanes)
        const { engine, history } = yield* engineOf([makeWork(() => turns[turn++ % turns.length] ?? 0)])
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
