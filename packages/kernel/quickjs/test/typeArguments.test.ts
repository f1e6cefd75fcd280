/**
 * What TypeScript reads as type arguments is read so, although JavaScript would compare. The rule is TypeScript's own: type arguments end
 * before `(`, a template, a line break, or what begins no expression.
 */
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { error, layer as sandbox, run, value } from "./support.ts"

const given = `
  const f = (...args: unknown[]) => ["called", ...args]
  const g = (strings: TemplateStringsArray) => ["tagged", ...strings]
  const o = { f }
  const a = 1, b = 2, c = 3
`

/** Programs without any other TypeScript in them, and what they give. */
const plain: ReadonlyArray<readonly [code: string, result: unknown]> = [
  ["return new Set<Date>([1, 2, 2]).size", 2],
  ["return await Promise.all<Date>([1, 2])", [1, 2]],
  ["return await tools.echo<Answer>({ a: 1 })", { a: 1 }],
  [
    'return ["a", "b", "a"].reduce<Record<string, number>>((n, x) => ({ ...n, [x]: (n[x] ?? 0) + 1 }), {})',
    { a: 2, b: 1 }
  ],
  ["return new Map<string, () => void>([['a', 1]]).size", 1],
  ["return new Map<string, Array<Map<string, number>>>().size", 0],
  ["const s = new Set<Date>\nreturn s.size", 0],
  ["const xs = Array<number>\nreturn xs.of(1)", [1]],
  ["const id = (x) => x\nreturn id<{ a: string; b: number }>(7)", 7],
  ["const id = (x) => x\nreturn id<'(' | \")\">(7)", 7],
  ["const id = (x) => x\nreturn id<typeof id>(id)<Date>(7)", 7],
  ["const id = (x) => x\nreturn id?.<Date>(7)", 7],
  ["const id = (x) => x\nreturn [id<Date>(7), id < Date > (8)]", [7, 8]],
  ["const tag = (s) => s[0]\nreturn tag<Date>`x`", "x"],
  ["const id = (x) => x\nreturn id<Date> /* a call */ (7)", 7]
]

/** What stays a comparison: JavaScript and TypeScript agree. */
const comparisons: ReadonlyArray<readonly [code: string, result: unknown]> = [
  ["const a = 1, b = 2, c = 3\nreturn a < b && c > (a)", true],
  ["const a = 1, b = 2\nreturn a < b === b > (a)", true],
  ["const a = 1, b = 2, c = 3\nreturn [a < b, (c) > a]", [true, true]],
  ["const a = 1, b = 2, c = 3\nreturn (a < b) > (c)", false],
  ["const a = 1, b = 2, c = 3\nreturn a < b ? c > (b) : false", true],
  ["const a = 5, b = 2\nreturn a << b >> (b)", 5],
  ["const a = 5, b = 2\nreturn a > b\n  ? 1\n  : 2", 1],
  ["let n = 0\nfor (let i = 0; i < 3; i++) if (n > (i)) n--\n else n++\nreturn n", 3],
  ["return '<b>(x)</b>'.length", 10]
]

layer(sandbox)("type arguments", (it) => {
  for (const [code, result] of [...plain, ...comparisons]) {
    it.effect(`in ${JSON.stringify(code)}`, () =>
      Effect.gen(function* () {
        expect(yield* value(code)).toEqual(result)
        // The same beside other TypeScript.
        expect(yield* value(`type Answer = string\n;${code}`)).toEqual(result)
      })
    )
  }

  it.effect("are in calls of what the types describe", () =>
    Effect.gen(function* () {
      expect(yield* value(`${given}; return [f<A>(b), o.f<A, B>(c), g<A>\`t\`, f(f < b, c > (b))]`)).toEqual([
        ["called", 2],
        ["called", 3],
        ["tagged", "t"],
        ["called", ["called", 2]]
      ])
    })
  )
})

layer(sandbox)("a place behind types", (it) => {
  it.effect("is told in the submitted text, whatever the types are written in", () =>
    Effect.gen(function* () {
      for (const type of ["string", "'é'", "'日本語' | '中'", "{ '😀': number }"]) {
        const line = `const x: ${type} = undefined as never; x.y`
        const failed = yield* error(`\n${line}`)
        expect([failed.name, failed.line, failed.column]).toEqual(["TypeError", 2, line.indexOf("x.y") + 1])
        const { logs } = yield* run(`try {\n${line} } catch (e) { console.log(e.stack) }`)
        expect(logs?.[0]?.message).toContain(`program.ts:2:${line.indexOf("x.y") + 1}`)
      }
    })
  )
})
