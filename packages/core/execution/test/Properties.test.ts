/**
 * What holds for any program: the journal is complete and in order, and answers reach their questions.
 */
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { tool } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as fc from "fast-check"
import { engineOf, memory, sqlite } from "./support/harness.ts"

/** Turns of the event loop that a call takes, and how it ends. */
const Work = Schema.Struct({ id: Schema.Int, turns: Schema.Int, fails: Schema.Boolean })

const work = tool({
  name: "work",
  description: "Takes some turns, then succeeds or fails.",
  input: Work,
  handler: ({ fails, id, turns }) =>
    Effect.gen(function* () {
      for (let turn = 0; turn < turns; turn++) {
        yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      }
      return fails ? yield* Effect.fail(new Error(`no ${id}`)) : { id }
    })
})

const write = tool({
  name: "write",
  description: "Writes.",
  requiresApproval: true,
  input: Schema.Struct({ n: Schema.Int }),
  handler: ({ n }) => n
})

/** Lanes run concurrently; the groups of a lane one after the other; the calls of a group concurrently. */
const call = fc.record({ turns: fc.integer({ min: 0, max: 4 }), fails: fc.boolean() })
const program = fc.array(fc.array(fc.array(call, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 4
})

const codeOf = (lanes: unknown): string => `
  let id = 0
  const seen = []
  const settled = (call, failed) => seen.push([call, failed])
  const one = (each) => {
    const call = id++
    return tools.t.work({ id: call, ...each }).then(() => settled(call, false), () => settled(call, true))
  }
  const lane = async (groups) => { for (const group of groups) await Promise.all(group.map(one)) }
  await Promise.all(${JSON.stringify(lanes)}.map(lane))
  return seen`

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("for any program", (it) => {
  for (const [name, adapter] of [
    ["memory", memory],
    ["SQLite", sqlite]
  ] as const) {
    it.effect(
      `the journal in ${name} is complete, numbered without gaps, and in the order in which the code saw outcomes`,
      () =>
        Effect.gen(function* () {
          const { engine, history } = yield* engineOf([work], { adapter: yield* adapter })
          const holdsFor = Effect.fnUntraced(function* (
            lanes: typeof program extends fc.Arbitrary<infer T> ? T : never
          ) {
            const finished = yield* engine.execute(codeOf(lanes))
            assert.strictEqual(finished.error, undefined)
            const seen = finished.result as ReadonlyArray<readonly [number, boolean]>
            const row = yield* history.row(finished.executionId)
            const calls = yield* history.calls(finished.executionId)
            const count = lanes.flat(2).length
            assert.strictEqual(row.toolCallCount, count)
            assert.strictEqual(finished.toolCallCount, count)
            assert.isTrue(row.journalComplete)
            assert.deepStrictEqual(
              calls.map(({ seq }) => seq),
              Array.from({ length: count }, (_, seq) => seq)
            )
            const delivered = calls.toSorted((a, b) => (a.settleSeq ?? 0) - (b.settleSeq ?? 0))
            assert.deepStrictEqual(
              delivered.map(({ settleSeq }) => settleSeq),
              Array.from({ length: count }, (_, settleSeq) => settleSeq)
            )
            assert.deepStrictEqual(
              delivered.map(({ argsJson, status }) => [JSON.parse(argsJson ?? "").id, status === "failed"]),
              seen.map(([id, failed]) => [id, failed])
            )
            for (const { completedAt, durationMs, errorText, resultJson, startedAt, status } of calls) {
              assert.strictEqual(completedAt, startedAt + (durationMs ?? -1))
              assert.strictEqual(status === "completed", resultJson !== null)
              assert.strictEqual(status === "failed", errorText !== null)
            }
          })
          yield* forAll(program, holdsFor, 40)
        })
    )
  }

  it.effect("answers in any order reach the calls whose questions they answer", () =>
    Effect.gen(function* () {
      const { engine, history } = yield* engineOf([write])
      const answers = fc.array(fc.boolean(), { minLength: 2, maxLength: 6 }).chain((accepts) =>
        fc.record({
          accepts: fc.constant(accepts),
          order: fc.shuffledSubarray(
            accepts.map((_, n) => n),
            { minLength: accepts.length }
          )
        })
      )
      yield* forAll(
        answers,
        Effect.fnUntraced(function* ({ accepts, order }) {
          const paused = yield* engine.executeWithPause(
            `return await Promise.all(${JSON.stringify(accepts)}.map((_, n) =>
               tools.t.write({ n }).then((value) => value, (error) => error.data.action)))`
          )
          if (paused.status !== "paused") return assert.fail("it asks nothing")
          const { id, interactions } = paused.execution
          assert.strictEqual(interactions.length, accepts.length)
          const outcomes = yield* Effect.all(
            order.map((n) => {
              const asked = interactions.find(({ request }) => (request.args as { n: number }).n === n)
              return engine.resume(id, { action: accepts[n] ? "accept" : "decline", interactionId: asked!.id })
            }),
            { concurrency: "unbounded" }
          )
          for (const outcome of outcomes) {
            if (outcome.status === "paused") continue
            assert.deepStrictEqual(
              outcome.result,
              accepts.map((accept, n) => (accept ? n : "decline"))
            )
          }
          const row = yield* history.row(id)
          assert.strictEqual(row.status, "completed")
          assert.strictEqual(row.interactionCount, accepts.length)
        }),
        30
      )
    })
  )
})

const forAll = <A, E>(arbitrary: fc.Arbitrary<A>, holds: (value: A) => Effect.Effect<unknown, E>, numRuns: number) =>
  Effect.flatMap(Effect.context<never>(), (context) =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(arbitrary, (value) => Effect.runPromiseWith(context)(Effect.asVoid(holds(value)))),
        { numRuns }
      )
    )
  )
