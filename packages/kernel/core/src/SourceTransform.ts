/**
 * Preparation of a submitted program: from TypeScript text to an expression that a JavaScript engine compiles.
 *
 * Use this inside a runtime, at best off the host's thread. It has an entry of its own (`@executor/kernel/source`)
 * that imports nothing else, so that a worker that needs it starts quickly.
 *
 * A program may `await` and `return` at its top level, so it is first wrapped in an async function ({@link wrap}). The
 * wrapper sits on the program's first line: line numbers need no correction anywhere, only columns of line 1 do.
 *
 * A runtime compiles the wrapped text as plain JavaScript first, and strips types ({@link stripTypes}) only if that fails:
 * a type stripper must read `a < b > (c)` as a call with a type argument and would change what valid JavaScript
 * means. Stripping replaces types with spaces, so positions stay where they were.
 */

const prefix = "(async()=>{"
const suffix = "\n})"

/** The program as an expression whose value is an async function. A first line for a shell (`#!`) becomes a comment. */
export const wrap = (source: string): string =>
  prefix + (source.startsWith("#!") ? `//${source.slice(2)}` : source) + suffix

/** A place in the submitted source: `line` and `column` from 1, columns in UTF-16 units as editors count them. */
export interface SourcePosition {
  readonly line: number
  readonly column: number
}

/**
 * Where a place in the wrapped text is in the submitted one. `byteColumn` counts from 1 in bytes of UTF-8, as QuickJS
 * does. A place in the wrapper itself is moved to the nearest one in the program.
 */
export const position = (source: string, line: number, byteColumn: number): SourcePosition => {
  const lines = source.split("\n")
  if (line > lines.length) {
    return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
  }
  const bytes = Math.max(0, byteColumn - 1 - (line === 1 ? prefix.length : 0))
  const text = lines[line - 1] ?? ""
  return { line, column: new TextDecoder().decode(new TextEncoder().encode(text).subarray(0, bytes)).length + 1 }
}

/** The program is neither JavaScript nor TypeScript whose types can be stripped. */
export class SourceSyntaxError extends Error {
  override readonly name = "SyntaxError"
  readonly position: SourcePosition

  constructor(message: string, at: SourcePosition) {
    super(message)
    this.position = at
  }
}

interface StripFailure {
  readonly code: string
  readonly message: string
  readonly startLine: number
  readonly startColumn: number
}

const isStripFailure = (u: unknown): u is StripFailure =>
  typeof u === "object" && u !== null && "startLine" in u && "startColumn" in u && "message" in u

const hints: ReadonlyArray<readonly [RegExp, string]> = [
  [/\benum\b/, 'Use an object instead: `const Color = { Red: "red" } as const`.'],
  [/\bnamespace\b|\bmodule\b.*keyword/, "Use a plain object instead."],
  [/parameter property/, "Declare the field in the class and assign it in the constructor."],
  [
    /'import', and 'export'/,
    "A program has no imports or exports: reach the outside through `tools`, and `return` the result."
  ]
]

/**
 * Replaces the types in a wrapped program with spaces. Rejects with a {@link SourceSyntaxError} that has the position in the
 * submitted source. The first call loads the stripper, which takes some 70 ms.
 */
export const stripTypes = async (source: string): Promise<string> => {
  const { transformSync } = await import("amaro")
  try {
    return transformSync(wrap(source), { mode: "strip-only" }).code
  } catch (error) {
    if (!isStripFailure(error)) throw error
    const hint = hints.find(([pattern]) => pattern.test(error.message))?.[1]
    const lines = source.split("\n")
    const line = Math.min(error.startLine, lines.length)
    const column =
      error.startLine > lines.length
        ? (lines.at(-1)?.length ?? 0) + 1
        : Math.max(0, error.startColumn - (line === 1 ? prefix.length : 0)) + 1
    throw new SourceSyntaxError(hint === undefined ? error.message : `${error.message}. ${hint}`, { line, column })
  }
}
