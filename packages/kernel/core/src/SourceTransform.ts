/**
 * Preparation of a submitted program: from TypeScript text to an expression that a JavaScript engine compiles.
 *
 * Use this inside a runtime, at best off the host's thread. It has an entry of its own (`@executor/kernel/source`)
 * that imports nothing else, so that a worker that needs it starts quickly.
 *
 * A program may `await` and `return` at its top level, so it is first wrapped in an async function ({@link wrap}). The
 * wrapper sits on the program's first line: line numbers need no correction anywhere, only columns of line 1 do.
 *
 * A program is TypeScript. Where it can only mean the same in JavaScript, a runtime compiles it as that first, which is quicker, and strips
 * types ({@link loadTypeStripper}) only if that fails. Where it may hold type arguments ({@link mayHoldTypeArguments}) it strips first:
 * `await tools.x<T>({})` is a call in TypeScript, and two comparisons in JavaScript. Stripping replaces types with spaces, so positions stay
 * where they were.
 *
 * Reading a program is work for hostile input. Brackets are nested no deeper than {@link maxNesting}, which {@link loadNestingCheck} finds
 * out first. What is nested in other ways can still break the stripper ({@link TypeStripperBroken}), and some short programs
 * keep it computing for minutes: so a runtime strips where it can end the thread.
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
 * Where a place in the wrapped text is in the submitted one. `source` is the program as it was wrapped: stripped types have fewer bytes,
 * and as many UTF-16 units. `byteColumn` counts from 1 in bytes of UTF-8, as QuickJS does. A place in the wrapper itself is moved to
 * the nearest one in the program.
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

/** The program is neither JavaScript nor TypeScript whose types can be stripped, or is nested too deeply. */
export class SourceSyntaxError extends Error {
  override readonly name = "SyntaxError"
  /** Absent where the reader of the program did not say it. */
  readonly position: SourcePosition | undefined

  constructor(message: string, at?: SourcePosition) {
    super(message)
    this.position = at
  }
}

/** What may end type arguments, if something before it began them. TypeScript's own rule is stricter, and the stripper knows it. */
const mayEndTypeArguments = /(?<!=)>[ \t]*(?:[(`\r\n\u2028\u2029]|\/[/*])/g

/**
 * Whether a program that is valid JavaScript may mean something else in TypeScript. In `f<T>(x)`, and in `new Set<T>` before a new line,
 * TypeScript reads type arguments where JavaScript compares. `false` is certain.
 */
export const mayHoldTypeArguments = (source: string): boolean => {
  const begin = source.indexOf("<")
  if (begin === -1) return false
  mayEndTypeArguments.lastIndex = begin + 1
  return mayEndTypeArguments.test(source)
}

/**
 * How many brackets, braces and templates may stand inside of each other. The engine reads nested patterns no deeper than 255, and the
 * stripper breaks at some 600 of the costliest kind (measured with quickjs-wasi 3.6.2 and amaro 1.2.1).
 */
export const maxNesting = 200

const openers = new Set(["(", "[", "{"])
const closers = new Set([")", "]", "}"])

/** The program cannot be read, as it is nested too deeply; `how` goes on after that. */
export const nestedTooDeeply = (how = ""): string =>
  `The program cannot be read: it is nested too deeply${how}. Build deep values in a loop, or parse them from a text with JSON.parse.`

/**
 * Whether brackets may be nested too deeply: they are, if all of them count, those in texts too. The tokens that {@link loadNestingCheck}
 * reads know texts, but take some divisions for regular expressions, so a program is refused only where both say so.
 */
export const mayNestDeeply = (source: string): boolean => {
  let depth = 0
  for (const [bracket] of source.matchAll(/[()[\]{}]/g)) {
    depth = openers.has(bracket) ? depth + 1 : Math.max(0, depth - 1)
    if (depth > maxNesting) return true
  }
  return false
}

/** Loads a check that throws a {@link SourceSyntaxError} where brackets are nested deeper than {@link maxNesting}. */
export const loadNestingCheck = async (): Promise<(source: string) => void> => {
  const { default: tokensOf } = await import("js-tokens")
  return (source) => {
    let depth = 0
    let offset = 0
    for (const { type, value } of tokensOf(source)) {
      if (type === "TemplateHead" || (type === "Punctuator" && openers.has(value))) depth++
      else if (type === "TemplateTail" || (type === "Punctuator" && closers.has(value))) depth = Math.max(0, depth - 1)
      if (depth > maxNesting) throw new SourceSyntaxError(nestedTooDeeply(tooManyBrackets), placeOf(source, offset))
      offset += value.length
    }
  }
}

const tooManyBrackets = `, with more than ${maxNesting} brackets inside of each other`

const placeOf = (source: string, offset: number): SourcePosition => {
  const lines = source.slice(0, offset).split("\n")
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
}

/**
 * The type stripper failed otherwise than by refusing the program. Its WebAssembly cannot be trusted any more: later programs would fail
 * for no reason of theirs, so that its thread must end.
 */
export class TypeStripperBroken extends SourceSyntaxError {}

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
 * Replaces the types in a program, without its wrapper, with spaces. Throws a {@link SourceSyntaxError} that has the position in the submitted
 * source, or {@link TypeStripperBroken}.
 */
export type TypeStripper = (source: string) => string

/** Loads the stripper, which takes some 70 ms the first time. */
export const loadTypeStripper = async (): Promise<TypeStripper> => {
  const { transformSync } = await import("amaro")
  return (source) => {
    try {
      const { code } = transformSync(wrap(source), { mode: "strip-only" })
      return withSemicolons(source, code.slice(prefix.length, code.length - suffix.length))
    } catch (error) {
      if (isStripFailure(error)) throw refusal(source, error)
      const isTooDeep = error instanceof Error && outOfStack.test(error.message)
      throw new TypeStripperBroken(isTooDeep ? nestedTooDeeply() : stripperFailed)
    }
  }
}

/** How a statement begins that has no JavaScript. */
const declaration = /^\s*(?:type|interface|declare|abstract|function|async\s+function|namespace|module)\b/

/**
 * Puts semicolons back that amaro 1.2.1 drops. One that stands behind a line break ends the declaration before it, and is dropped with it. Then
 * the statement before the declaration goes on with the statement behind. Of the lines `a = b`, `type A = 1` and `;[c].map(d)`, the last
 * would read `b[c]`.
 */
const withSemicolons = (source: string, stripped: string): string => {
  let restored = ""
  let copied = 0
  for (const { index } of source.matchAll(/(?<=\n\s*);/g)) {
    if (stripped[index] === ";") continue
    const kept = Math.max(copied, stripped.slice(0, index).trimEnd().length)
    const dropped = source.slice(kept, index)
    if (!declaration.test(dropped) || !isBalanced(dropped)) continue
    restored += `${stripped.slice(copied, index)};`
    copied = index + 1
  }
  return restored + stripped.slice(copied)
}

/** Whether brackets are closed, but for those in texts. */
const isBalanced = (types: string): boolean => {
  const code = types.replaceAll(/'[^'\n]*'|"[^"\n]*"/g, "")
  return code.match(/[([{]/g)?.length === code.match(/[)\]}]/g)?.length
}

/** What WebAssembly and its host say when a stack ends. */
const outOfStack = /out of bounds|call stack/

const stripperFailed =
  "The program cannot be read: the reader of its types failed over it. Write it in simpler TypeScript, or without types."

const refusal = (source: string, error: StripFailure): SourceSyntaxError => {
  const hint = hints.find(([pattern]) => pattern.test(error.message))?.[1]
  const lines = source.split("\n")
  const line = Math.min(error.startLine, lines.length)
  const column =
    error.startLine > lines.length
      ? (lines.at(-1)?.length ?? 0) + 1
      : Math.max(0, error.startColumn - (line === 1 ? prefix.length : 0)) + 1
  return new SourceSyntaxError(hint === undefined ? error.message : `${error.message}. ${hint}`, { line, column })
}
