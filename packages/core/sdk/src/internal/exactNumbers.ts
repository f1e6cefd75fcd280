/**
 * Arguments with numbers that a number cannot hold (see `json.ts`), for those who know only numbers.
 *
 * A check by a JSON Schema looks at the nearest number. A handler of the host's own code gets an integer as BigInt; what it could only get
 * changed is refused. Everybody else passes the text on.
 */
import { type FieldIssue, formatField, setKey } from "./json.ts"
import type { Steps } from "./slices.ts"

/** Values between two steps. */
const valuesPerStep = 256

type Path = ReadonlyArray<string | number>

/** A copy with another value in the place of each number by its text. */
function* replaceExact(input: unknown, replace: (text: string, path: Path) => unknown): Steps<unknown> {
  const path: Array<string | number> = []
  let count = 0
  function* copy(value: unknown): Steps<unknown> {
    if (++count % valuesPerStep === 0) yield
    if (typeof value !== "object" || value === null) return value
    if (JSON.isRawJSON(value)) return replace(value.rawJSON, path)
    const isArray = Array.isArray(value)
    const array: Array<unknown> = []
    const object: Record<string, unknown> = {}
    for (const key of Object.keys(value)) {
      path.push(isArray ? Number(key) : key)
      const item = yield* copy(Reflect.get(value, key))
      path.pop()
      if (isArray) array.push(item)
      else setKey(object, key, item)
    }
    return isArray ? array : object
  }
  return yield* copy(input)
}

/** A copy with the nearest finite numbers. */
export const toNearest = (value: unknown): Steps<unknown> =>
  replaceExact(value, (text) => Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, Number(text))))

/** A copy for a handler, with BigInts if it takes them, and what it cannot be given. */
export function* toHandler(
  value: unknown,
  { bigInts }: { readonly bigInts: boolean }
): Steps<{ readonly value: unknown; readonly issues: ReadonlyArray<FieldIssue> }> {
  const issues: Array<FieldIssue> = []
  const copied = yield* replaceExact(value, (text, path) => {
    if (bigInts && /^-?\d+$/.test(text)) return BigInt(text)
    issues.push({ field: formatField(path), message: `${text} is more than this tool can take exactly: ${advice}` })
  })
  return { value: copied, issues }
}

const advice = "round it, or pass it as text where the tool takes text"
