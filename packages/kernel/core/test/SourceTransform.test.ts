import {
  loadNestingCheck,
  loadTypeStripper,
  mayHoldTypeArguments,
  maxNesting,
  mayNestDeeply,
  position,
  SourceSyntaxError
} from "@executor/kernel/source"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"

const stripTypes = async (source: string) => (await loadTypeStripper())(source)

const strip = (source: string) => Effect.promise(() => stripTypes(source))

const failureOf = (read: () => Promise<unknown>) =>
  Effect.tryPromise({ try: read, catch: (error) => error as SourceSyntaxError }).pipe(Effect.flip)

const failure = (source: string) => failureOf(() => stripTypes(source))

describe("the type stripper", () => {
  it.effect("replaces types with spaces and keeps every position", () =>
    Effect.gen(function* () {
      const source = "type A = { a: string }\nconst x: A = { a: 'é' } as A\nreturn x!.a satisfies string"
      const stripped = yield* strip(source)
      expect(stripped).toHaveLength(source.length)
      expect(stripped.split("\n")).toHaveLength(3)
      expect(stripped).not.toContain("string")
    })
  )

  it.effect("refuses what has no JavaScript of the same shape, with the position and what to write instead", () =>
    Effect.gen(function* () {
      const color = yield* failure("const a = 1\n  enum Color { Red }")
      expect(color).toBeInstanceOf(SourceSyntaxError)
      expect(color.message).toContain("as const")
      expect(color.position).toEqual({ line: 2, column: 3 })
      expect((yield* failure("namespace A { export const b = 1 }")).message).toContain("namespace")
      expect((yield* failure("class A { constructor(private x: number) {} }")).message).toContain("constructor")
      expect((yield* failure("const x = <any>1")).position).toEqual({ line: 1, column: 11 })
      expect((yield* failure("import a from 'b'")).message).toContain("tools")
    })
  )

  it.effect("reads past a first line for a shell", () =>
    Effect.gen(function* () {
      const source = "#!/usr/bin/env x\nreturn 1 as number"
      expect(yield* strip(source)).toHaveLength(source.length)
      expect((yield* failure("#!/usr/bin/env x\n  enum A {}")).position).toEqual({ line: 2, column: 3 })
    })
  )

  it.effect("keeps statements apart that a declaration stood between", () =>
    Effect.gen(function* () {
      for (const [source, expected] of [
        ["a = b\ntype A = 1\n;[c].map(d)", "a = b\n          \n;[c].map(d)"],
        [
          "a = b\ntype A = {\n  a: '('\n  ;b: 1\n}\n\n  ;(c)(d)",
          "a = b\n          \n        \n       \n \n\n  ;(c)(d)"
        ],
        ["a = b\ntype A = 1\n;type B = 2\n;[c]", "a = b\n          \n;          \n;[c]"],
        ["a = b\ndeclare const c: 1\n;`d`", "a = b\n                  \n;`d`"],
        ["a = b\ntype A = 1\n[c].map(d)", "a = b\n;         \n[c].map(d)"],
        ["const x: {\n a: 1\n ;b: 2 } = c", "const x   \n     \n         = c"]
      ] as const) {
        expect(yield* strip(source)).toBe(expected)
      }
    })
  )

  it.effect("places an error that is behind the program at its end", () =>
    Effect.gen(function* () {
      expect((yield* failure("const x: number = {\n  a: [1")).position).toEqual({ line: 2, column: 8 })
    })
  )
})

/** Ways to stand inside of brackets, a bracket each. */
const kinds = [
  ["(", ")"],
  ["[", "]"],
  ["{", "}"],
  ["`text ( ${", "} )`"],
  ["f(/* ( */ ", ")"],
  ["a[')' + ", "]"],
  ["/[(/]/.test(", ")"]
] as const

describe("type arguments", () => {
  it("may be in what TypeScript reads otherwise than JavaScript", () => {
    for (const source of [
      "new Set<Date>(xs)",
      "await tools.x<T>({ a: 1 })",
      "xs.reduce<Record<string, number>>((a) => a, {})",
      "f<T>`x`",
      "a < b > (c)",
      "f(a < b, c > (d))",
      "const s = new Set<Date>\nreturn s",
      "f<T> /* why */ (x)",
      "f<() => void> (x)",
      "f<A<B>>\t(x)"
    ])
      expect([source, mayHoldTypeArguments(source)]).toEqual([source, true])
  })

  it("are not in what both read alike, which needs no stripping", () => {
    for (const source of [
      "return 1 + 1",
      "for (let i = 0; i < n; i++) f(() => (x))",
      "return a < b && c > d",
      "return xs.filter((x) => x > 3 && x < 5).map((x) => (x))",
      "return (a >= (b)) < c"
    ])
      expect([source, mayHoldTypeArguments(source)]).toEqual([source, false])
  })
})

describe("the check of nesting", () => {
  const check = (source: string) =>
    failureOf(async () => {
      if (mayNestDeeply(source)) (await loadNestingCheck())(source)
      throw new Error("shallow")
    })

  it("finds the first bracket that is too deep, whatever the others are", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(kinds.length - 1), { minLength: maxNesting - 2, maxLength: maxNesting + 2 }),
        fc.nat(300),
        async (levels, before) => {
          const around = levels.map((level) => kinds[level]!)
          const opened = around.map(([open]) => open)
          const closed = around.map(([, close]) => close).toReversed()
          const source = `${"f(')');\n".repeat(before)}${opened.join("")}1${closed.join("")}`
          const failure = await Effect.runPromise(check(source))
          const { column = 0, line } = failure.position ?? {}
          const within = opened.slice(0, maxNesting).join("").length
          const isThere = column > within && column <= within + (opened[maxNesting]?.length ?? 0)
          const isTooDeep = levels.length > maxNesting
          expect([failure instanceof SourceSyntaxError, line, isThere]).toEqual([
            isTooDeep,
            isTooDeep ? before + 1 : undefined,
            isTooDeep
          ])
        }
      )
    ))

  it.effect("does not count what stands beside each other, or in text", () =>
    Effect.gen(function* () {
      const many = 3 * maxNesting
      for (const source of [
        "f([{}]);".repeat(many),
        `"${"(".repeat(many)}"`,
        `\`${"([{".repeat(many)}\``,
        `// ${"(".repeat(many)}\n/* ${"[".repeat(many)} */`,
        `/[${"(".repeat(many)}]/`,
        "f(x! / y)\n".repeat(many)
      ])
        expect((yield* check(source)).message).toBe("shallow")
    })
  )

  it.effect("takes time in proportion to the length of what it reads", () =>
    Effect.gen(function* () {
      for (const unit of ["(", ")", "`${", "}`", "/", "'", '"', "`", "\\", "/*", "*/", "<", "a", "0", "\n", "({", "=>"])
        yield* check("()".repeat(maxNesting + 1) + unit.repeat((256 * 1024) / unit.length))
    })
  )
})

describe("position", () => {
  it("takes the wrapper off the first line and counts in UTF-16 units", () => {
    expect(position("abc", 1, 12)).toEqual({ line: 1, column: 1 })
    expect(position("é😀x", 1, 12 + 6)).toEqual({ line: 1, column: 4 })
    expect(position("a\né😀x", 2, 7)).toEqual({ line: 2, column: 4 })
    expect(position("a\nbc", 9, 1)).toEqual({ line: 2, column: 3 })
  })
})
