/**
 * Reading a program is work for hostile input: what is nested too deeply is refused, and what breaks the stripper or keeps it busy ends
 * that program only.
 */
import { CodeExecutor, Limits } from "@executor/kernel"
import { maxNesting } from "@executor/kernel/source"
import { QuickJsExecutor } from "@executor/runtime-quickjs"
import { leastLoopGap } from "@executor/sdk/testing"
import { describe, expect, it, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { error, layer as sandbox, run, tools, value } from "./support.ts"

/** Ways to nest: what begins the first level and each other, what stands in the middle, what ends a level, and the brackets of a level. */
const kinds: Readonly<
  Record<string, { first?: string; open: string; middle: string; close: string; brackets: number }>
> = {
  parentheses: { open: "(", middle: "1", close: ")", brackets: 1 },
  arrays: { open: "[", middle: "1", close: "]", brackets: 1 },
  "objects in arrays": { open: "[{ a: ", middle: "1", close: "}]", brackets: 2 },
  "objects in parentheses": { open: "({ a: ", middle: "1", close: "})", brackets: 2 },
  templates: { open: "`${", middle: "1", close: "}`", brackets: 1 },
  calls: { open: "String(", middle: "1", close: ")", brackets: 1 },
  indexes: { open: "'a'[", middle: "0", close: "]", brackets: 1 },
  "functions called at once": { open: "(() => { return ", middle: "1", close: "})()", brackets: 2 },
  "types in parentheses": { first: "1 as (", open: "(", middle: "number", close: ")", brackets: 1 },
  "tuple types": { first: "1 as [", open: "[", middle: "number", close: "]", brackets: 1 },
  "object types": { first: "1 as { a: ", open: "{ a: ", middle: "number", close: "}", brackets: 1 }
}

const nested = (name: string, depth: number): string => {
  const { brackets, close, middle, open, first = open } = kinds[name]!
  const levels = depth / brackets
  return `const x = ${first}${open.repeat(levels - 1)}${middle}${close.repeat(levels)}`
}

layer(sandbox)("a program", (it) => {
  for (const name of Object.keys(kinds)) {
    it.effect(`may nest ${name} ${maxNesting} brackets deep, and no deeper`, () =>
      Effect.gen(function* () {
        expect(yield* value(`${nested(name, maxNesting)}; return "read"`)).toBe("read")
        expect(yield* value(`type A = string; ${nested(name, maxNesting)}; return "read"`)).toBe("read")
        for (const brackets of [maxNesting + 2, 10 * maxNesting, 100 * maxNesting]) {
          const refused = yield* error(nested(name, brackets))
          expect([refused.name, refused.line]).toEqual(["SyntaxError", 1])
          expect(refused.message).toContain(`more than ${maxNesting} brackets`)
          expect(refused.message).toContain("JSON.parse")
        }
      })
    )
  }

  it.effect("may have any number of brackets beside each other, and in text", () =>
    Effect.gen(function* () {
      const many = 3 * maxNesting
      expect(yield* value(`let n = 0; ${"n += [1].map((x: number) => x)[0]!;".repeat(many)} return n`)).toBe(many)
      expect(yield* value(`return "${"([{".repeat(many)}".length`)).toBe(3 * many)
    })
  )
})

const maxGapMs = 20

const breakable = QuickJsExecutor.layer({
  workers: 1,
  workerUrl: new URL("breakableWorker.ts", import.meta.url)
})

const stripped = (code: string) => `const n: number = 1; ${code}`

/** A program that waits for a call, and how to let it go on. */
const waiting = Effect.gen(function* () {
  const called = yield* Deferred.make<void>()
  const answer = yield* Deferred.make<number>()
  const invoke = () => Effect.andThen(Deferred.succeed(called, undefined), Deferred.await(answer))
  const running = yield* Effect.forkChild(value(stripped("return n + await tools.wait()"), { invoker: { invoke } }), {
    startImmediately: true
  })
  yield* Deferred.await(called)
  return Effect.andThen(Deferred.succeed(answer, 1), Fiber.join(running))
})

describe("a program that breaks the type stripper", () => {
  it.effect("is told that it is nested too deeply, and no other program fails over it", () =>
    Effect.gen(function* () {
      const goOn = yield* waiting
      const ends = yield* Effect.forEach(
        ["/* trap here */", "return 2", "/* trap here */", "return 3", "return 4"],
        (code) => run(stripped(code)),
        { concurrency: "unbounded" }
      )
      expect(ends.map(({ error, result }) => error?.message.slice(0, 58) ?? result)).toEqual([
        "The program cannot be read: it is nested too deeply. Build",
        2,
        "The program cannot be read: it is nested too deeply. Build",
        3,
        4
      ])
      expect(yield* goOn).toBe(2)
      expect(yield* value(stripped("return 5"))).toBe(5)
    }).pipe(Effect.provide(breakable))
  )

  it.effect("ends none that starts again beside it", () =>
    Effect.gen(function* () {
      const goOn = yield* waiting
      yield* run(stripped("/* trap here */"))
      const breaking = yield* Effect.forkChild(run(stripped("/* trap here */")), { startImmediately: true })
      expect(yield* goOn).toBe(2)
      yield* Fiber.join(breaking)
    }).pipe(Effect.provide(Layer.fresh(breakable)))
  )
})

describe("a program that keeps the type stripper busy", () => {
  const busy = stripped("/* compute for ever */")

  it.live("ends at its CPU time, while others go on and the loop of the host is free", () =>
    Effect.gen(function* () {
      const goOn = yield* waiting
      const limits = Limits.with({ cpuTimeMs: 200 })
      const both = Effect.all([error(busy, { limits }), value(stripped("return 2"))], { concurrency: "unbounded" })
      const gapMs = yield* leastLoopGap(
        Effect.map(both, ([ended, result]) => {
          expect([ended.limit, result]).toEqual(["cpuTimeMs", 2])
        })
      )
      expect(gapMs).toBeLessThan(maxGapMs)
      expect(yield* goOn).toBe(2)
    }).pipe(Effect.provide(breakable))
  )

  it.live("can be interrupted", () =>
    Effect.gen(function* () {
      const executor = yield* CodeExecutor
      const running = yield* Effect.forkChild(executor.execute(busy, tools), { startImmediately: true })
      yield* Fiber.interrupt(running)
      expect(yield* value(stripped("return 2"))).toBe(2)
    }).pipe(Effect.provide(Layer.fresh(breakable)))
  )
})
