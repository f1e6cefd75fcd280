import { position, SourceSyntaxError, stripTypes, wrap } from "@executor/kernel/source"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"

const strip = (source: string) => Effect.promise(() => stripTypes(source))

const failure = (source: string) =>
  Effect.tryPromise({ try: () => stripTypes(source), catch: (error) => error as SourceSyntaxError }).pipe(Effect.flip)

describe("stripTypes", () => {
  it.effect("replaces types with spaces and keeps every position", () =>
    Effect.gen(function* () {
      const source = "type A = { a: string }\nconst x: A = { a: 'é' } as A\nreturn x!.a satisfies string"
      const stripped = yield* strip(source)
      expect(stripped).toHaveLength(wrap(source).length)
      expect(stripped.split("\n")).toHaveLength(4)
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
      expect(yield* strip(source)).toHaveLength(wrap(source).length)
      expect((yield* failure("#!/usr/bin/env x\n  enum A {}")).position).toEqual({ line: 2, column: 3 })
    })
  )

  it.effect("places an error that is behind the program at its end", () =>
    Effect.gen(function* () {
      expect((yield* failure("const x: number = {\n  a: [1")).position).toEqual({ line: 2, column: 8 })
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
