import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { type Call, makeManners, makeQuestions } from "@executor/plugin-mcp"

/**
 * A model of a server that asks without saying for which call: what each call does is made up, and the order of all steps is
 * chosen at random. A question carries the call it truly belongs to, so a wrong attribution shows.
 */
interface Question {
  readonly from: number
}

const callArbitrary = fc.record({
  tool: fc.constantFrom("a", "b", "c"),
  questions: fc.nat({ max: 3 }),
  interrupted: fc.boolean()
})

const scenario = fc.record({
  calls: fc.array(callArbitrary, { minLength: 1, maxLength: 8 }),
  interruptions: fc.boolean(),
  order: fc.array(fc.nat(), { minLength: 200, maxLength: 200 })
})

describe("attribution", () => {
  it.effect("never gives a question to another call, and every call ends", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(scenario, ({ calls, interruptions, order }) =>
          Effect.runPromise(
            Effect.gen(function* () {
              const questions = makeQuestions<Question, number>({ exclusive: true, manners: makeManners() })
              const steps: Array<() => void> = []
              /** A point where the server can be slow: it goes on when its turn comes. */
              const step = () => new Promise<void>((resolve) => steps.push(resolve))
              const wrong: Array<[asked: number, from: number]> = []
              let answers = 0

              const work = async (from: number, count: number) => {
                for (let index = 0; index < count; index++) {
                  await step()
                  const answer = await questions.answer({ from }).catch(() => undefined)
                  if (answer !== undefined) answers++
                }
                await step()
              }

              const fibers = yield* Effect.forEach(calls, ({ tool, questions: count }, id) => {
                const call: Call<Question, number> = {
                  tool,
                  started: false,
                  pending: 0,
                  ask: async (question) => {
                    if (question.from !== id) wrong.push([id, question.from])
                    await step()
                    return id
                  }
                }
                return Effect.forkChild(
                  questions.during(
                    call,
                    Effect.promise(() => work(id, count))
                  )
                )
              })

              let turn = 0
              const ended = new Set<number>()
              fibers.forEach((fiber, index) => fiber.addObserver(() => ended.add(index)))
              while (ended.size < fibers.length) {
                yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
                const random = order[turn++ % order.length] ?? 0
                const victim = random % (calls.length * 4)
                const fiber = fibers[victim]
                if (interruptions && calls[victim]?.interrupted === true && fiber !== undefined && turn > 3) {
                  yield* Fiber.interrupt(fiber)
                }
                steps.splice(random % Math.max(1, steps.length), 1)[0]?.()
                if (turn > 5000) assert.fail("the calls do not end")
              }
              assert.deepStrictEqual(wrong, [])
              if (!interruptions && new Set(calls.map((call) => call.tool)).size === calls.length) {
                assert.strictEqual(
                  answers,
                  calls.reduce((sum, call) => sum + call.questions, 0)
                )
              }
            })
          )
        ),
        { numRuns: 300 }
      )
    )
  )

  it.effect("a question that several calls may have asked waits until one is left", () =>
    Effect.gen(function* () {
      const questions = makeQuestions<string, string>({ exclusive: true, manners: makeManners() })
      const call = (tool: string, ask = tool): Call<string, string> => ({
        tool,
        started: false,
        pending: 0,
        ask: async (question) => `${ask} answers ${question}`
      })
      yield* questions.during(call("x"), Effect.void)
      const [first, second] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const one = yield* Effect.forkChild(questions.during(call("x", "one"), Deferred.await(first)), {
        startImmediately: true
      })
      const two = yield* Effect.forkChild(questions.during(call("x", "two"), Deferred.await(second)), {
        startImmediately: true
      })
      const answer = questions.answer("who?")
      yield* Deferred.done(first, Exit.void)
      yield* Fiber.join(one)
      assert.strictEqual(yield* Effect.promise(() => answer), "two answers who?")
      yield* Deferred.done(second, Exit.void)
      yield* Fiber.join(two)
    })
  )

  it.effect("two such questions are given to nobody", () =>
    Effect.gen(function* () {
      const questions = makeQuestions<string, string>({ exclusive: true, manners: makeManners() })
      const call = (): Call<string, string> => ({ tool: "x", started: false, pending: 0, ask: async () => "answered" })
      yield* questions.during(call(), Effect.void)
      const end = yield* Deferred.make<void>()
      const run = questions.during(call(), Deferred.await(end))
      const fibers = [
        yield* Effect.forkChild(run, { startImmediately: true }),
        yield* Effect.forkChild(questions.during(call(), Deferred.await(end)), { startImmediately: true })
      ]
      const answers = Promise.all([questions.answer("a"), questions.answer("b")])
      assert.deepStrictEqual(yield* Effect.promise(() => answers), [undefined, undefined])
      yield* Deferred.done(end, Exit.void)
      yield* Fiber.joinAll(fibers)
    })
  )
})
