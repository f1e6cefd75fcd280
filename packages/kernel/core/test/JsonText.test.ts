import { encodeJson, parseJson } from "@executor/kernel"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"

const text = (value: unknown) => encodeJson(value, { root: "value" })

const problem = (value: unknown) =>
  Effect.map(
    Effect.flip(encodeJson(value, { root: "value", limit: { name: "toolResultBytes", bytes: 100_000 } })),
    (error) => error.message
  )

const threadCpuMs = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

/**
 * The longest that this thread kept its loop from turning while the effect ran, as far as it computed in that time itself; the best
 * of a few tries, as it may be the garbage of something else that is collected.
 */
const gapOf = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    let best = Infinity
    for (let i = 0; i < 5 && best >= 20; i++) {
      let worst = 0
      const first = threadCpuMs()
      let last = first
      const turn = (): void => {
        const now = threadCpuMs()
        // The clock of a thread goes in steps of 4 ms: a gap may be shorter by one than it looks.
        worst = Math.max(worst, now - last - 4)
        last = now
      }
      const timer = setInterval(turn, 1)
      yield* effect
      turn()
      clearInterval(timer)
      // On a slow machine a slice takes longer, but stays a part of the whole: without slices it is all of it.
      const isSlice = worst < (threadCpuMs() - first) / 2
      best = Math.min(best, worst < 20 || !isSlice ? worst : 19)
    }
    return best
  })

describe("encodeJson", () => {
  it.effect("writes what JSON.stringify writes for plain data", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.jsonValue(), async (value) => {
          expect(await Effect.runPromise(text(value))).toBe(JSON.stringify(value))
        })
      )
    )
  )

  it.effect("writes dates, maps, sets, typed arrays and errors, and leaves out undefined", () =>
    Effect.gen(function* () {
      const value = {
        date: new Date(0),
        map: new Map([["a", new Set([1, 2])]]),
        bytes: new Uint8Array([1, 2]),
        error: new TypeError("no"),
        missing: undefined,
        list: [undefined],
        url: new URL("http://a.test/")
      }
      expect(JSON.parse((yield* text(value)) ?? "")).toEqual({
        date: "1970-01-01T00:00:00.000Z",
        map: { a: [1, 2] },
        bytes: [1, 2],
        error: { name: "TypeError", message: "no" },
        list: [null],
        url: "http://a.test/"
      })
      expect(yield* text(undefined)).toBeUndefined()
      expect(yield* text(null)).toBe("null")
    })
  )

  it.effect("says where a value is that JSON cannot hold", () =>
    Effect.gen(function* () {
      expect(yield* problem({ items: [0, { "call-back": () => 1 }] })).toContain(
        'value.items[1]["call-back"] is a function'
      )
      expect(yield* problem([Number.NaN])).toContain("value[0] is NaN")
      expect(yield* problem({ a: Symbol("x") })).toContain("value.a is a symbol")
      expect(yield* problem({ a: Promise.resolve() })).toContain("value.a is a promise")
      expect(yield* problem({ a: new Map([[{}, 1]]) })).toContain("value.a is a Map with a key that is not a string")
      expect(yield* problem({ a: /x/ })).toContain("value.a is a RegExp")
      expect(yield* problem({ a: new WeakMap() })).toContain("value.a is a WeakMap")
      const cyclic: Record<string, unknown> = {}
      cyclic["a"] = { b: cyclic }
      expect(yield* problem(cyclic)).toContain("value.a.b is the same object as value")
      let deep: unknown = 0
      for (let i = 0; i < 300; i++) deep = [deep]
      expect(yield* problem(deep)).toContain("nested deeper than 256")
      expect(
        yield* problem({
          get a() {
            throw new Error("x")
          }
        })
      ).toContain("value.a is a property that fails")
    })
  )

  it.effect("stops at the limit, which counts bytes of UTF-8", () =>
    Effect.gen(function* () {
      const limit = { name: "toolResultBytes", bytes: 100 } as const
      expect(yield* encodeJson("x".repeat(98), { root: "value", limit })).toHaveLength(100)
      const tooLong = yield* Effect.flip(encodeJson("x".repeat(99), { root: "value", limit }))
      expect(tooLong.message).toContain("`toolResultBytes` is 100 bytes")
      expect((yield* Effect.flip(encodeJson("é".repeat(50), { root: "value", limit })))._tag).toBe("LimitExceeded")
      expect(
        (yield* Effect.flip(
          encodeJson(
            Array.from({ length: 1e6 }, () => []),
            { root: "value", limit }
          )
        ))._tag
      ).toBe("LimitExceeded")
    })
  )

  it.effect("does not hold up the loop", () =>
    Effect.gen(function* () {
      const rows = Array.from({ length: 100_000 }, (_, id) => ({ id, name: `row ${id}`, tags: ["a", "b"], at: id / 3 }))
      expect(yield* gapOf(text(rows))).toBeLessThan(20)
      expect(yield* gapOf(text("é\n".repeat(2e6)))).toBeLessThan(20)
    })
  )
})

describe("parseJson", () => {
  it.effect("gives what JSON.parse gives, however large and however spaced", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.jsonValue(), { maxLength: 5 }),
          fc.constantFrom(undefined, 1, "\t"),
          async (values, space) => {
            const padding = Array.from({ length: 700 }, (_, i) => ({ [`key ${i}"`]: values, "\\": `x"${i}\\` }))
            const large = JSON.stringify(
              { first: values, padding, nested: { padding, __proto__: 1 }, last: [padding, 1] },
              null,
              space
            )
            const own = large.replace('"last"', '"__proto__"')
            expect(await Effect.runPromise(parseJson(own))).toStrictEqual(JSON.parse(own))
          }
        ),
        { numRuns: 30 }
      )
    )
  )

  it.effect("handles text at the edges", () =>
    Effect.gen(function* () {
      const long = "x".repeat(100_000)
      for (const json of [
        JSON.stringify(long),
        JSON.stringify([long]),
        JSON.stringify([1, long, 2]),
        JSON.stringify({ a: long, b: 1 }),
        ` [ "${long}" , 1 ] `,
        JSON.stringify([[], {}, long, [], {}]),
        JSON.stringify(Array.from({ length: 30_000 }, () => [])),
        JSON.stringify(Array.from({ length: 200 }, () => '\\"').join(long.slice(0, 500)))
      ]) {
        expect(yield* parseJson(json)).toStrictEqual(JSON.parse(json))
      }
    })
  )

  it.effect(
    "refuses what JSON.parse refuses, where one character of a large text is another, missing or one too many",
    () =>
      Effect.promise(() => {
        const padding = Array.from({ length: 400 }, (_, i) => ({ [`key ${i}`]: [i, "x".repeat(60)], y: {} }))
        const big = "x".repeat(40_000)
        const large = JSON.stringify({ padding, big, n: -1, list: [padding, big, null, {}, [], 2, padding], last: big })
        const places = [...large.matchAll(/[[\]{}:,"]|null/g)].map(({ index }) => index)
        const outcome = (parse: () => unknown) =>
          Effect.runPromise(Effect.exit(Effect.suspend(() => Effect.succeed(parse()))))
        return fc.assert(
          fc.asyncProperty(
            fc.constantFrom(
              ...places.slice(0, 30),
              ...places.slice(-3300).filter((_, at) => at % 50 < 3),
              ...places.slice(-40)
            ),
            fc.constantFrom("", "[", "]", "{", "}", ":", ",", '"', " ", "1", "NaN"),
            fc.integer({ min: 0, max: 1 }),
            async (at, character, replaced) => {
              const text = large.slice(0, at) + character + large.slice(at + replaced)
              const expected = await outcome(() => JSON.parse(text))
              const actual = await Effect.runPromise(Effect.exit(parseJson(text)))
              expect(actual._tag).toBe(expected._tag)
              if (actual._tag === "Success" && expected._tag === "Success") expect(actual.value).toEqual(expected.value)
            }
          ),
          { numRuns: 60 }
        )
      })
  )

  it.effect("does not hold up the loop", () =>
    Effect.gen(function* () {
      const keys = JSON.stringify(
        Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`${i.toString(36)}_`, 0]))
      )
      expect(yield* gapOf(parseJson(keys))).toBeLessThan(20)
      expect(yield* gapOf(parseJson(`[${"[],".repeat(300_000)}[]]`))).toBeLessThan(20)
      expect(yield* gapOf(parseJson("[".repeat(200) + keys + "]".repeat(200)))).toBeLessThan(20)
    })
  )
})
