/**
 * Values as JSON: what may be an argument of a tool.
 *
 * Arguments are copied before anything looks at them, so that what is validated, what is shown for approval and what is
 * executed cannot come apart through a caller that changes its object meanwhile.
 */

/** Deeper values are refused: every reader of an argument recurses into it, and no real input nests like this. */
export const maxJsonDepth = 200

/** What is wrong with one field. */
export interface FieldIssue {
  /** Such as `labels[0].name`; empty for the whole value. */
  readonly field: string
  readonly message: string
}

/** A copy that is plain JSON, or why there is none. */
export type JsonCopy =
  | { readonly ok: true; readonly value: unknown; readonly longestArray: number }
  | { readonly ok: false; readonly issue: FieldIssue }

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

/**
 * Copies a value as JSON would carry it: `toJSON` is honoured, properties that are `undefined` are left out. What JSON
 * would lose or change without a word (`NaN`, `BigInt`, `Map`, functions, cycles) is refused.
 */
export const copyJson = (input: unknown): JsonCopy => {
  const path: Array<string | number> = []
  let longestArray = 0

  const copy = (value: unknown): unknown => {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value
      case "number":
        if (Number.isFinite(value)) return value
        throw new NotJson(`${value} has no form in JSON`)
      case "object":
        return value === null ? null : copyObject(value)
      case "bigint":
        throw new NotJson("a BigInt has no form in JSON: pass a number or a string")
      default:
        throw new NotJson(`${typeof value === "undefined" ? "undefined" : `a ${typeof value}`} has no form in JSON`)
    }
  }

  const copyObject = (value: object): unknown => {
    if (path.length >= maxJsonDepth)
      throw new NotJson(`is nested deeper than ${maxJsonDepth} levels, or contains itself`)
    if (Array.isArray(value)) {
      longestArray = Math.max(longestArray, value.length)
      const out: Array<unknown> = []
      for (let index = 0; index < value.length; index++) {
        path.push(index)
        out.push(copy(value[index]))
        path.pop()
      }
      return out
    }
    if ("toJSON" in value && typeof value.toJSON === "function") return copy(value.toJSON())
    const tag = Object.prototype.toString.call(value)
    if (tag !== "[object Object]") throw new NotJson(`a ${tag.slice(8, -1)} has no form in JSON`)
    const out: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined) continue
      path.push(key)
      setKey(out, key, copy(item))
      path.pop()
    }
    return out
  }

  try {
    return { ok: true, value: copy(input), longestArray }
  } catch (error) {
    const message = error instanceof NotJson ? error.message : "cannot be read"
    return { ok: false, issue: { field: formatField(path), message } }
  }
}

/** Sets an own property, also one called `__proto__`, which an assignment would not. */
const setKey = (target: Record<string, unknown>, key: string, value: unknown): void => {
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
  if (typeof value === "object") return "an object"
  if (typeof value === "string") return shorten(JSON.stringify(value), 60)
  return String(value)
}

/** At most `length` characters, the last of which says that something was cut. */
export const shorten = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}\u2026`
