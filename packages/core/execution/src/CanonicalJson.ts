/**
 * Whether two JSON texts say the same: the order of an object's keys and blanks are not part of a value.
 */
import { readJson } from "@executor/kernel"

/** Compares texts; null is no text. */
export const sameJson = (a: string | null, b: string | null): boolean =>
  a === b || (a !== null && b !== null && canonicalJson(a) === canonicalJson(b))

/** The text with the keys of each object in order. */
const canonicalJson = (text: string): string =>
  JSON.stringify(readJson(text), (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value
  )
