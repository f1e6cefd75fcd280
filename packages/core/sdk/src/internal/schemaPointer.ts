/**
 * Finding places inside a JSON Schema by local references and pointers.
 */
import { Predicate } from "effect"

/** The schema that a local reference (`#`, `#/$defs/Issue`) points to, or `undefined`. */
export const resolveReference = (root: unknown, reference: string): unknown => {
  if (reference === "#") return root
  return reference.startsWith("#/") ? resolveTokens(root, reference.slice(2).split("/")) : undefined
}

/** The schema at a keyword location that a validator reported; a `$ref` on the way is followed. */
export const resolveLocation = (root: unknown, location: string): unknown =>
  location === "#" ? root : resolveTokens(root, location.slice(2).split("/"))

const resolveTokens = (root: unknown, tokens: ReadonlyArray<string>): unknown => {
  let place: unknown = root
  for (const token of tokens) {
    if (!Predicate.isObjectOrArray(place)) return undefined
    const key = unescapeToken(token)
    const next: unknown = Object.hasOwn(place, key) ? Reflect.get(place, key) : undefined
    place = key === "$ref" && typeof next === "string" ? resolveReference(root, next) : next
  }
  return place
}

/** The tokens of an instance location such as `#/labels/0`. */
export const locationTokens = (location: string): ReadonlyArray<string> =>
  location === "#" ? [] : location.slice(2).split("/").map(unescapeToken)

const unescapeToken = (token: string): string => decode(token).replaceAll("~1", "/").replaceAll("~0", "~")

const decode = (token: string): string => {
  try {
    return decodeURIComponent(token)
  } catch {
    return token
  }
}
