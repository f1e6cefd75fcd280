/**
 * Hundreds of executions that wait for people at once, on two workers: they keep nobody out, and each goes on as if it had been
 * alone.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { engineOf, nextTurn, paused, sqlite } from "./support/harness.ts"

const count = 500

/**
 * The longest that the host's thread may compute without a turn of its loop, as a part of all that it computes: it is other work's delay. It
 * takes about a hundredth where all is well, however slow the machine is.
 */
const maxTurnShare = 1 / 10

const threadCpuMs = () => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

/** The most that this thread computed between two turns of its loop, so far. */
const turns = Effect.acquireRelease(
  Effect.sync(() => {
    const first = threadCpuMs()
    let last = first
    const seen = { longest: 0, share: () => seen.longest / (threadCpuMs() - first) }
    const timer = setInterval(() => {
      const now = threadCpuMs()
      seen.longest = Math.max(seen.longest, now - last)
      last = now
    }, 1)
    return { seen, timer }
  }),
  ({ timer }) => Effect.sync(() => clearInterval(timer))
)

/** As requests come: a few in each turn of the loop. */
const arriving = <A, B, E>(items: ReadonlyArray<A>, serve: (item: A) => Effect.Effect<B, E>) =>
  Effect.forEach(items, (item, i) => Effect.andThen(Effect.repeat(nextTurn, { times: i >> 3 }), serve(item)), {
    concurrency: "unbounded"
  })

const shuffled = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> =>
  items
    .map((item, i) => ({ item, key: Math.imul(i + 1, 2_654_435_761) >>> 0 }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item)

layer(QuickJsExecutor.layer({ workers: 2 }), { excludeTestServices: true })("hundreds that wait", (it) => {
  it.effect("pause at once, let others run, and end right when answered in any order", () =>
    Effect.gen(function* () {
      const effects: Array<string> = []
      const input = Schema.Struct({ n: Schema.Number })
      const read = tool({
        name: "read",
        description: "",
        input,
        handler: ({ n }) => (effects.push(`read ${n}`), { n: n * 2 })
      })
      const write = tool({
        name: "write",
        description: "",
        requiresApproval: true,
        input,
        handler: ({ n }) => void effects.push(`write ${n}`)
      })
      const { engine, history } = yield* engineOf([read, write], { adapter: yield* sqlite })
      const { seen } = yield* turns
      const code = (n: number) => `
          const before = [Date.now(), Math.random()]
          console.log("asks ${n}")
          const read = await tools.t.read({ n: ${n} })
          await tools.t.write({ n: read.n })
          console.log("done ${n}", before[0] <= Date.now())
          return { n: read.n, before, after: Math.random() }`
      const numbers = Array.from({ length: count }, (_, n) => n)
      const waiting = yield* arriving(numbers, (n) =>
        Effect.map(engine.executeWithPause(code(n)), (outcome) => ({ n, id: paused(outcome).id }))
      )
      for (let i = 0; i < 20; i++) assert.strictEqual((yield* engine.execute("return 1 + 1")).result, 2)

      // One of them is cancelled where it waits, which asks no worker.
      const [cancelled, ...others] = shuffled(waiting)
      yield* engine.cancel(cancelled!.id)
      yield* arriving(others, ({ id, n }) =>
        Effect.gen(function* () {
          const finished = yield* engine.resume(id, { action: "accept" })
          if (finished.status !== "completed") return assert.fail(JSON.stringify(finished))
          const result = finished.result as { n: number; before: [number, number]; after: number }
          assert.strictEqual(result.n, n * 2)
          assert.notStrictEqual(result.before[1], result.after)
          const row = yield* history.row(id)
          // The clock of the code starts with the execution, also in a worker where it starts again.
          assert.strictEqual(result.before[0], row.startedAt)
          assert.deepStrictEqual(
            finished.logs.map(({ message }) => message),
            [`asks ${n}`, `done ${n} true`]
          )
          assert.strictEqual(finished.toolCallCount, 2)
        })
      )
      const expected = [...numbers.map((n) => `read ${n}`), ...others.map(({ n }) => `write ${n * 2}`)]
      assert.deepStrictEqual(effects.toSorted(), expected.toSorted())
      assert.isBelow(seen.share(), maxTurnShare)
    })
  )
})
