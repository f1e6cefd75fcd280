/**
 * Values from JSON text without blocking.
 *
 * Use {@link parseJson} instead of `JSON.parse` for text that may be large: a megabyte with many different keys takes
 * `JSON.parse` 60 ms, in which the event loop stands still. Small text is parsed at once. Numbers that a number cannot hold keep
 * their text: see `ExactNumbers.ts`.
 *
 * Large text is first scanned for where each bracket closes. Then containers are taken apart from the outside: members are
 * handed to `JSON.parse` in groups of some kilobytes, and others may run between two groups.
 */
import { Effect } from "effect"
import { holdsExact, markExact, type NumberOptions, readJson } from "./ExactNumbers.ts"
import { inSlices } from "./Slices.ts"

/** Text up to this length is small, whatever is in it. */
const small = 1024
/** Text up to this length takes `JSON.parse` a few milliseconds at worst. */
const atOnce = 32 * 1024

/** The value of a JSON text. Text that is not JSON is a defect, a `SyntaxError`, whatever its length. */
export const parseJson = (text: string, options: NumberOptions = {}): Effect.Effect<unknown> =>
  Effect.suspend(() =>
    text.length <= small ? Effect.succeed(readJson(text, options)) : inSlices(parseJsonSteps(text, options))
  )

/** The same in steps, for work that is made of steps itself. */
export function* parseJsonSteps(text: string, options: NumberOptions = {}): Generator<void, unknown, void> {
  if (text.length <= atOnce) return readJson(text, options)
  const closings = yield* findClosings(text)
  const start = skipSpace(text, 0)
  const end = text.trimEnd().length
  if (isOpening(text.charCodeAt(start)) && closings[start] !== end - 1) throw notJson((closings[start] ?? end) + 1)
  return yield* parseValue(text, start, end, closings, options)
}

const notJson = (at: number): SyntaxError => new SyntaxError(`Unexpected text in JSON at position ${at}`)

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBracket = 0x5b
const openBrace = 0x7b

const isOpening = (code: number): boolean => code === openBracket || code === openBrace
const isClosing = (code: number): boolean => code === 0x5d || code === 0x7d
const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

/** The place after the string that starts here. */
const endOfString = (text: string, start: number): number => {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === backslash) slashes++
    if (slashes % 2 === 0) return at + 1
  }
  return text.length
}

const skipSpace = (text: string, start: number): number => {
  let at = start
  while (isSpace(text.charCodeAt(at))) at++
  return at
}

/** For each opening bracket, where it closes. */
function* findClosings(text: string): Generator<void, Int32Array, void> {
  const closings = new Int32Array(text.length)
  const open: Array<number> = []
  let nextPause = atOnce
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = endOfString(text, at)
    } else {
      if (isOpening(code)) open.push(at)
      else if (isClosing(code)) {
        const opening = open.pop()
        // A bracket closes with the character two after its own.
        if (opening === undefined || text.charCodeAt(opening) !== code - 2) throw notJson(at)
        closings[opening] = at
      }
      at++
    }
    if (at > nextPause) {
      nextPause = at + atOnce
      yield
    }
  }
  if (open.length > 0) throw notJson(text.length)
  return closings
}

function* parseValue(
  text: string,
  start: number,
  end: number,
  closings: Int32Array,
  options: NumberOptions
): Generator<void, unknown, void> {
  const opening = text.charCodeAt(start)
  if (end - start <= atOnce || !isOpening(opening)) {
    yield
    return readJson(text.slice(start, end), options)
  }
  const isArray = opening === openBracket
  const array: Array<unknown> = []
  const object: Record<string, unknown> = {}
  let exact = false
  const take = (members: string): void => {
    const read = readJson(isArray ? `[${members}]` : `{${members}}`, options) as object
    exact ||= holdsExact(read)
    if (isArray) for (const item of read as ReadonlyArray<unknown>) array.push(item)
    else for (const [key, value] of Object.entries(read)) assign(object, key, value)
  }
  const close = closings[start] ?? end
  let group = start + 1
  let at = start + 1
  while (at < close) {
    const member = skipSpace(text, at)
    if (member >= close && at > start + 1) throw notJson(member)
    const named = isArray ? member : skipSpace(text, endOfString(text, member))
    if (!isArray && text.charCodeAt(named) !== colon && member < close) throw notJson(named)
    const valueStart = isArray ? member : skipSpace(text, named + 1)
    const code = text.charCodeAt(valueStart)
    let valueEnd = valueStart
    if (isOpening(code)) valueEnd = (closings[valueStart] ?? close) + 1
    else if (code === quote) valueEnd = endOfString(text, valueStart)
    else while (valueEnd < close && text.charCodeAt(valueEnd) !== comma) valueEnd++
    const after = skipSpace(text, valueEnd)
    if (after < close && (valueEnd === valueStart || text.charCodeAt(after) !== comma)) throw notJson(after)
    if (valueEnd - valueStart > atOnce) {
      const before = text.slice(group, at).replace(/,\s*$/, "")
      if (before.trim() !== "") take(before)
      const value = yield* parseValue(text, valueStart, valueEnd, closings, options)
      exact ||= holdsExact(value)
      if (isArray) array.push(value)
      else assign(object, JSON.parse(text.slice(member, endOfString(text, member))) as string, value)
      at = after + 1
      group = at
    } else {
      at = after + 1
      if (at - group > atOnce / 4 || at >= close) {
        take(text.slice(group, Math.min(at - 1, close)))
        group = at
        yield
      }
    }
  }
  if (at <= close) throw notJson(at)
  const value = isArray ? array : object
  return exact ? markExact(value) : value
}

/** Sets an own property, also one that is named `__proto__`. */
const assign = (object: Record<string, unknown>, key: string, value: unknown): void => {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true })
  } else {
    object[key] = value
  }
}
