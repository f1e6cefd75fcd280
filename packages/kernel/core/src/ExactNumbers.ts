/**
 * Numbers of JSON text that JavaScript's number cannot hold: `9007199254740993`, `0.1234567890123456789`, `1e400`.
 *
 * `JSON.parse` changes them without a word. The readers here keep the text of each such number, as an object of `JSON.rawJSON`:
 * `JSON.stringify` and `encodeJson` write it as it was, and arithmetic on it throws. A number is kept as a number where the shortest
 * text of it has the same decimal value: `1.0`, `1e2` and `0.1` are.
 *
 * Nearly all text holds no such number, and one regular expression tells so. It looks for sixteen digits in a row at the start of a
 * value, and for exponents of three digits; what it finds is looked at one by one.
 */

/** A number by its text, made by `JSON.rawJSON`. */
export interface RawJson {
  readonly rawJSON: string
}

declare global {
  interface JSON {
    rawJSON(text: string): RawJson
    isRawJSON(value: unknown): value is RawJson
  }
}

/** How numbers are read. */
export interface NumberOptions {
  /**
   * Keeps the text of each integer beyond 2^53, also of those that a number could hold: of the ids in a list all are told alike.
   * For text of others; text that was written from JavaScript's own numbers is read without.
   */
  readonly wideIntegers?: boolean | undefined
}

/** Numbers that may be too much, and what looks like them in strings. Any shorter number has at most fifteen digits. */
const suspect = /(?:^|[:,[\s])(-?\d[\d.]{15,}(?:[eE][-+]?\d+)?|-?\d[\d.]*[eE][-+]?\d{3,})/g

/** The digits of a decimal without zeros at its ends, and the power of ten behind them. */
const decimalOf = (text: string): string => {
  const [, whole = "", fraction = "", exponent = "0"] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text) ?? []
  const all = `${whole}${fraction}`
  // Not by a regular expression, which takes quadratic time for zeros in the middle.
  let start = 0
  let end = all.length
  while (start < end && all[start] === "0") start++
  while (end > start && all[end - 1] === "0") end--
  const digits = all.slice(start)
  const short = all.slice(start, end)
  return short === "" ? "0" : `${short}e${Number(exponent) - fraction.length + digits.length - short.length}`
}

const isHeld = (text: string, { wideIntegers = false }: NumberOptions): boolean => {
  const value = Number(text)
  if (!Number.isFinite(value)) return false
  if (wideIntegers && !Number.isSafeInteger(value) && isInteger(text)) return false
  const shortest = String(value)
  return shortest === text || decimalOf(shortest) === decimalOf(text)
}

const isInteger = (text: string): boolean => /^-?\d+$/.test(text)

/** Whether JSON text may hold a number that a number cannot hold: `false` is certain. */
export const mayHoldExact = (text: string, options: NumberOptions = {}): boolean => {
  suspect.lastIndex = 0
  for (let found = suspect.exec(text); found !== null; found = suspect.exec(text)) {
    // Digits that are no number stand in a string.
    if (/^-?\d+(\.\d+)?([eE]|$)/.test(found[1] ?? "") && !isHeld(found[1] ?? "", options)) return true
  }
  return false
}

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown

const parseWith = (text: string, change: (value: unknown, source: string) => unknown): unknown => {
  const reviver: Reviver = (_, value, { source = "" }) => change(value, source)
  return JSON.parse(text, reviver as (key: string, value: unknown) => unknown)
}

/** Values that were read here and hold a number by its text. */
const holders = new WeakSet<object>()

/** Whether a value that was read here is or holds a number by its text. */
export const holdsExact = (value: unknown): boolean =>
  typeof value === "object" && value !== null && (JSON.isRawJSON(value) || holders.has(value))

/** Remembers that a value holds a number by its text. */
export const markExact = <A>(value: A): A => {
  if (typeof value === "object" && value !== null) holders.add(value)
  return value
}

/** The value of a JSON text, at once. Throws as `JSON.parse` does. */
export const readJson = (text: string, options: NumberOptions = {}): unknown => {
  if (!mayHoldExact(text, options)) return JSON.parse(text) as unknown
  let found = false
  const value = parseWith(text, (each, source) => {
    if (typeof each !== "number" || isHeld(source, options)) return each
    found = true
    return JSON.rawJSON(source)
  })
  return found ? markExact(value) : value
}

/**
 * The text with each number that a number cannot hold as a string, `"#9007199254740993"`, for a reader that knows none of this. A string
 * that begins with `#` gets another one. `undefined` where the text holds no such number.
 */
export const tagNumbers = (text: string, options: NumberOptions = {}): string | undefined => {
  if (!mayHoldExact(text, options)) return undefined
  const tagged = parseWith(text, (value, source) => {
    if (typeof value === "string") return value.startsWith("#") ? `#${value}` : value
    if (typeof value !== "number") return value
    if (!isHeld(source, options)) return `#${source}`
    return Object.is(value, -0) ? JSON.rawJSON("-0") : value
  })
  return JSON.stringify(tagged)
}

/** A tagged string, which is no key. */
const taggedString = /(?<!\\)"#(#?)([^"\\]*(?:\\.[^"\\]*)*)"(?!:)/g

/** JSON text as an expression of a program, in which a wide integer is a BigInt, and any other such number its text. */
export const exactLiteral = (text: string): string =>
  tagNumbers(text)?.replace(taggedString, (_, isString: string, content: string) => {
    if (isString !== "") return `"#${content}"`
    return isInteger(content) ? `${content}n` : `JSON.rawJSON("${content}")`
  }) ?? text
