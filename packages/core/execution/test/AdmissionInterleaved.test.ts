/**
 * What holds of places whatever happens in which order: submissions, ends, answers, and callers that go away.
 */
import { Admission } from "@executor/execution"
import type { CodeExecutor } from "@executor/kernel"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { type ExecutionId, isTerminal } from "@executor/sdk"
import { assert, layer } from "@effect/vitest"
import { Effect, type Fiber } from "effect"
import * as fc from "fast-check"
import { makeBusy } from "./support/busy.ts"
import { engineOf, nextTurn, until } from "./support/harness.ts"

/** What may happen next. `at` chooses which of the submissions it happens to. */
const event = fc.oneof(
  { weight: 3, arbitrary: fc.record({ does: fc.constant("submits" as const), inline: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("answers" as const), at: fc.nat(), leaves: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constantFrom("ends" as const, "leaves" as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("turns" as const), count: fc.integer({ min: 1, max: 8 }) }) }
)

const scenario = fc.record({ limit: fc.integer({ min: 1, max: 3 }), events: fc.array(event, { maxLength: 40 }) })

type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never
type Event = Scenario["events"][number]

/** It holds a place, waits for a person, and holds one again. */
const code = (n: number) => `
  const before = await tools.t.hold({ n: ${2 * n} })
  await tools.t.guarded({ n: -1 }).catch(() => undefined)
  return [before, await tools.t.hold({ n: ${2 * n + 1} })]`

const holdsFor = Effect.fnUntraced(function* ({ events, limit }: Scenario) {
  const { held, letGo, made, tools } = makeBusy()
  const admission = Admission.make({ concurrentExecutions: limit })
  const { engine, history } = yield* engineOf(tools, { admission })
  const callers: Array<Fiber.Fiber<unknown, unknown>> = []
  const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkScoped(effect, { startImmediately: true })
  const waiting = Effect.map(history.rows, (rows) => rows.filter(({ status }) => status === "waiting_for_interaction"))
  const accept = (id: ExecutionId) => Effect.exit(engine.resume(id, { action: "accept" }))

  const happens = Effect.fnUntraced(function* (event: Event) {
    switch (event.does) {
      case "submits": {
        const asked = { onElicitation: () => Effect.never }
        const ofThis = code(callers.length)
        callers.push(yield* fork(event.inline ? engine.execute(ofThis, asked) : engine.executeWithPause(ofThis)))
        return
      }
      case "answers": {
        const row = chosen(yield* waiting, event.at)
        if (row === undefined) return
        const answer = yield* fork(accept(row.id))
        if (event.leaves) answer.interruptUnsafe()
        return
      }
      case "ends": {
        const n = chosen(Array.from(held), event.at)
        if (n !== undefined) letGo(n)
        return
      }
      case "leaves":
        return chosen(callers, event.at)?.interruptUnsafe()
      case "turns":
        return yield* Effect.repeat(nextTurn, { times: event.count })
    }
  })

  for (const event of events) {
    yield* happens(event)
    const { underWay } = admission.load()
    assert.isTrue(held.size <= underWay && underWay <= limit, `${held.size} held, ${underWay} under way`)
  }
  for (let n = 0; n < 2 * callers.length; n++) letGo(n)
  const allEnded = Effect.gen(function* () {
    for (const { id } of yield* waiting) yield* fork(accept(id))
    yield* nextTurn
    const hasEnded = (yield* history.rows).every(({ status }) => isTerminal(status))
    return hasEnded && callers.every((caller) => caller.pollUnsafe() !== undefined)
  })
  yield* Effect.repeat(allEnded, { until: (ended) => ended })
  yield* until(() => admission.load().underWay === 0)
  assert.deepStrictEqual(admission.load(), { underWay: 0, queued: 0 })
  const calls = made.filter((n) => n >= 0)
  assert.strictEqual(new Set(calls).size, calls.length)
  assert.strictEqual((yield* engine.execute("return 1")).result, 1)
})

const chosen = <A>(all: ReadonlyArray<A>, at: number): A | undefined => all[at % Math.max(1, all.length)]

layer(QuickJsExecutor.layer(), { excludeTestServices: true })("whatever happens in which order", (it) => {
  it.effect("no more is under way than may be, each submission runs at most once, and no place is lost", () =>
    Effect.flatMap(Effect.context<CodeExecutor>(), (context) =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(scenario, (given) => Effect.runPromiseWith(context)(Effect.scoped(holdsFor(given)))),
          { numRuns: 60 }
        )
      )
    )
  )
})
