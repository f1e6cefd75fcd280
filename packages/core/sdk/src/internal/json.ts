/**
 * Values as JSON: what may be an argument of a tool.
 *
 * Arguments are copied before anything looks at them, so that what is validated, what is shown for approval and what is
 * executed cannot come apart through a caller that changes its object meanwhile.
 *
 * An integer or a decimal that a number cannot hold is a `JSON.rawJSON` of its text: `JSON.stringify` writes it as it is.
 */
import { atOnce, type Steps } from "./slices.ts"

/** A number by its text. TypeScript has no types for it yet; `@executor/kernel`, which this package does not import, says the same. */
export interface RawJson {
  readonly rawJSON: string
}

declare global {
  interface JSON {
    rawJSON(text: string): RawJson
    isRawJSON(value: unknown): value is RawJson
  }
}

/** Deeper values are refused: every reader of an argument recurses into it, and no real input nests like this. */
export const maxJsonDepth = 200

/** What is wrong with one field. */
export interface FieldIssue {
  /** Such as `labels[0].name`; empty for the whole value. */
  readonly field: string
  readonly message: string
}

/** A copy that is plain JSON. */
export interface PlainJson {
  readonly ok: true
  readonly value: unknown
  /** How much there is to look at, at most: its values, and its long strings by the kilobyte. */
  readonly size: number
  /** Whether it holds numbers by their text. */
  readonly exact: boolean
}

/** A copy, or why there is none. */
export type JsonCopy = PlainJson | { readonly ok: false; readonly issue: FieldIssue }

/** A path into a value as code would write it. */
export const formatField = (path: ReadonlyArray<string | number>): string =>
  path.reduce<string>(
    (field, key) =>
      typeof key === "number"
        ? `${field}[${key}]`
        : /^[\w$-]+$/.test(key)
          ? field === ""
            ? key
            : `${field}.${key}`
          : `${field}[${JSON.stringify(key)}]`,
    ""
  )

class NotJson extends Error {}

/** Arguments that were just read from JSON text and are nobody else's. A value takes two characters of it, or more. */
export const fromJsonText = (value: unknown, textLength: number, exact = false): PlainJson => ({
  ok: true,
  value,
  size: Math.ceil(textLength / 2),
  exact
})

/** Values between two steps of a copy. */
const valuesPerStep = 256

/**
 * Copies a value as JSON would carry it: `toJSON` is honoured, properties that are `undefined` are left out. What JSON
 * would lose or change without a word (`NaN`, `Map`, functions, cycles) is refused; a `BigInt` is an integer.
 */
export function* copyJsonSteps(input: unknown): Steps<JsonCopy> {
  const path: Array<string | number> = []
  let size = 1
  let exact = false

  /** A number by its text, where it is one. */
  const copyRaw = (raw: RawJson): unknown => {
    const value: unknown = JSON.parse(raw.rawJSON)
    if (typeof value !== "number" || String(value) === raw.rawJSON) return value
    exact = true
    return raw
  }

  const copyScalar = (value: unknown): unknown => {
    switch (typeof value) {
      case "string":
        size += value.length >> 10
        return value
      case "boolean":
        return value
      case "number":
        if (Number.isFinite(value)) return value
        throw new NotJson(`${value} has no form in JSON`)
      case "object":
        return value
      case "bigint":
        return copyRaw(JSON.rawJSON(String(value)))
      default:
        throw new NotJson(`${typeof value === "undefined" ? "undefined" : `a ${typeof value}`} has no form in JSON`)
    }
  }

  function* copyObject(value: object): Steps<unknown> {
    if (path.length >= maxJsonDepth)
      throw new NotJson(`is nested deeper than ${maxJsonDepth} levels, or contains itself`)
    if (Array.isArray(value)) {
      const out: Array<unknown> = []
      for (let index = 0; index < value.length; index++) {
        if (++size % valuesPerStep === 0) yield
        path.push(index)
        const item: unknown = value[index]
        out.push(isObject(item) ? yield* copyObject(item) : copyScalar(item))
        path.pop()
      }
      return out
    }
    if ("toJSON" in value && typeof value.toJSON === "function") {
      const replaced: unknown = value.toJSON()
      return isObject(replaced) ? yield* copyObject(replaced) : copyScalar(replaced)
    }
    const tag = Object.prototype.toString.call(value)
    if (tag !== "[object Object]") throw new NotJson(`a ${tag.slice(8, -1)} has no form in JSON`)
    if (JSON.isRawJSON(value)) return copyRaw(value)
    const out: Record<string, unknown> = {}
    const keys = Object.keys(value)
    // They are listed at once, however many.
    if (keys.length > valuesPerStep) yield
    for (const key of keys) {
      if (++size % valuesPerStep === 0) yield
      const item: unknown = Reflect.get(value, key)
      if (item === undefined) continue
      path.push(key)
      setKey(out, key, isObject(item) ? yield* copyObject(item) : copyScalar(item))
      path.pop()
    }
    return out
  }

  try {
    return { ok: true, value: isObject(input) ? yield* copyObject(input) : copyScalar(input), size, exact }
  } catch (error) {
    const message = error instanceof NotJson ? error.message : "cannot be read"
    return { ok: false, issue: { field: formatField(path), message } }
  }
}

/** Copies a value of the host's own making, at once. */
export const copyJson = (input: unknown): JsonCopy => atOnce(copyJsonSteps(input))

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** Sets an own property, also one called `__proto__`, which an assignment would not. */
export const setKey = (target: Record<string, unknown>, key: string, value: unknown): void => {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    target[key] = value
  }
}

/** A value in a few words for a message: its kind, and itself when short. */
export const describeValue = (value: unknown): string => {
  if (value === null) return "null"
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (JSON.isRawJSON(value)) return value.rawJSON
  if (typeof value === "object") return "an object"
  if (typeof value === "string") return previewJson(value, 60)
  return String(value)
}

/** The beginning of the JSON text of a plain value, written no further than it is shown. */
export const previewJson = (value: unknown, length: number): string => {
  let text = ""
  const write = (item: unknown): void => {
    if (typeof item === "string") {
      text += JSON.stringify(item.length > length ? item.slice(0, length) : item)
    } else if (!isObject(item) || JSON.isRawJSON(item)) {
      text += JSON.stringify(item)
    } else {
      const isArray = Array.isArray(item)
      text += isArray ? "[" : "{"
      let separator = ""
      for (const key in item) {
        if (text.length > length) return
        text += isArray ? separator : `${separator}${JSON.stringify(key)}:`
        write(Reflect.get(item, key))
        separator = ","
      }
      text += isArray ? "]" : "}"
    }
  }
  write(value)
  return shorten(text, length)
}

/** At most `length` characters, the last of which says that something was cut. */
export const shorten = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}\u2026`
