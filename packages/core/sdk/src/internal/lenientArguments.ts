/**
 * Arguments as a server takes them: small differences between what its schema says and what it means are made up for.
 *
 * - A required property with a default may be absent. The default is filled in, rather than left to the server: many servers check their
 *   arguments against the very schema that they publish, and refuse a call without it.
 * - `null` for a property that need not be there, and whose schema refuses `null`, is left out.
 *
 * This is done at every depth that the schema leads to. Of several alternatives, the only one that fits the value is followed. A person is asked
 * about the arguments that are sent. The history keeps what the caller gave.
 */
import { Predicate } from "effect"
import { setKey } from "./json.ts"
import { resolveReference } from "./schemaPointer.ts"
import type { Steps } from "./slices.ts"

type Keywords = Readonly<Record<PropertyKey, unknown>>

/** References and combinations that are followed from one place of a value. */
const maxHops = 20

/** Values between two steps. */
const valuesPerStep = 256

/** Whether a property has a default, so that callers need not give it. */
export const hasDefault = (property: unknown): boolean =>
  Predicate.isObject(property) && property["default"] !== undefined

/** The names that callers must give. */
export const neededProperties = (schema: Keywords): ReadonlyArray<unknown> => {
  const { properties, required } = schema
  if (!Array.isArray(required)) return []
  return Predicate.isObject(properties)
    ? required.filter((name: PropertyKey) => !Object.hasOwn(properties, name) || !hasDefault(properties[name]))
    : required
}

/** Whether a schema takes `null`. */
export const takesNull = (root: unknown, schema: unknown, hops = 0): boolean => {
  if (!Predicate.isObject(schema)) return schema !== false
  if (schema["nullable"] === true || hops > maxHops) return true
  const takes = (each: unknown) => takesNull(root, each, hops + 1)
  const { $ref, allOf, anyOf, enum: values, oneOf, type } = schema
  if (type !== undefined && !(Array.isArray(type) ? type.includes("null") : type === "null")) return false
  if (Object.hasOwn(schema, "const") && schema["const"] !== null) return false
  if (Array.isArray(values) && !values.includes(null)) return false
  if (typeof $ref === "string" && !takes(resolveReference(root, $ref))) return false
  if (Array.isArray(allOf) && !allOf.every(takes)) return false
  return [anyOf, oneOf].every((alternatives) => !Array.isArray(alternatives) || alternatives.some(takes))
}

/** The arguments with defaults filled in and refused nulls left out; the same object where there is nothing to do. */
export function* lenientArguments(root: unknown, args: unknown): Steps<unknown> {
  let count = 0

  function* prepare(value: unknown, schema: unknown, hops: number): Steps<unknown> {
    if (++count % valuesPerStep === 0) yield
    if (!Predicate.isObject(schema) || !Predicate.isObjectOrArray(value) || JSON.isRawJSON(value)) return value
    let out: unknown = value
    if (hops < maxHops) {
      for (const each of applied(root, schema, out)) out = yield* prepare(out, each, hops + 1)
    }
    return Array.isArray(out) ? yield* prepareItems(out, schema) : yield* prepareObject(out as Keywords, schema)
  }

  function* prepareItems(value: ReadonlyArray<unknown>, schema: Keywords): Steps<unknown> {
    const { items, prefixItems } = schema
    const first: ReadonlyArray<unknown> = Array.isArray(prefixItems) ? prefixItems : Array.isArray(items) ? items : []
    const rest = Array.isArray(items) ? schema["additionalItems"] : items
    if (first.length === 0 && !Predicate.isObject(rest)) return value
    let out: Array<unknown> | undefined
    for (const [index, item] of value.entries()) {
      const prepared = yield* prepare(item, index < first.length ? first[index] : rest, 0)
      if (prepared === item) continue
      out ??= [...value]
      out[index] = prepared
    }
    return out ?? value
  }

  function* prepareObject(value: Keywords, schema: Keywords): Steps<unknown> {
    const properties = Predicate.isObject(schema["properties"]) ? schema["properties"] : {}
    const needed = new Set(neededProperties(schema))
    const required: ReadonlyArray<unknown> = Array.isArray(schema["required"]) ? schema["required"] : []
    const changes = new Map<string, unknown>()
    for (const [name, property] of Object.entries(properties)) {
      const isGiven = Object.hasOwn(value, name)
      const given = isGiven ? value[name] : undefined
      const isLeftOut = given === null && !needed.has(name) && !takesNull(root, property)
      if (isGiven && !isLeftOut) {
        const prepared = yield* prepare(given, property, 0)
        if (prepared !== given) changes.set(name, prepared)
        continue
      }
      const filled = required.includes(name) ? usableDefault(root, property) : undefined
      if (isGiven || filled !== undefined) changes.set(name, filled)
    }
    const others = schema["additionalProperties"]
    if (Predicate.isObject(others)) {
      for (const [name, item] of Object.entries(value)) {
        if (Object.hasOwn(properties, name) || !Predicate.isObjectOrArray(item)) continue
        const prepared = yield* prepare(item, others, 0)
        if (prepared !== item) changes.set(name, prepared)
      }
    }
    if (changes.size === 0) return value
    const out: Record<string, unknown> = {}
    for (const [name, item] of Object.entries(value)) {
      const changed = changes.has(name) ? changes.get(name) : item
      if (changed !== undefined) setKey(out, name, changed)
    }
    for (const [name, item] of changes) {
      if (item !== undefined && !Object.hasOwn(value, name)) setKey(out, name, item)
    }
    return out
  }

  return yield* prepare(args, root, 0)
}

/** A default that can be sent. An integer beyond 2^53 may differ from the integer that the server wrote. */
const usableDefault = (root: unknown, property: unknown): unknown => {
  const value: unknown = Predicate.isObject(property) ? property["default"] : undefined
  if (value === null && !takesNull(root, property)) return undefined
  return typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value) ? undefined : value
}

/** The other schemas that apply to a value as well. */
const applied = (root: unknown, schema: Keywords, value: unknown): ReadonlyArray<unknown> => {
  const { $ref, allOf, anyOf, oneOf } = schema
  const out: Array<unknown> = []
  if (typeof $ref === "string") out.push(resolveReference(root, $ref))
  if (Array.isArray(allOf)) out.push(...(allOf as ReadonlyArray<unknown>))
  for (const alternatives of [anyOf, oneOf]) {
    if (!Array.isArray(alternatives)) continue
    const meant = alternatives.filter((each) => mayMean(root, each, value, 0))
    if (meant.length === 1) out.push(meant[0])
  }
  return out
}

/** Whether a value may be meant for an alternative: by its kind, and by the properties of which the alternative takes one value only. */
const mayMean = (root: unknown, schema: unknown, value: unknown, hops: number): boolean => {
  if (!Predicate.isObject(schema)) return schema !== false
  if (typeof schema["$ref"] === "string" && hops < maxHops) {
    return mayMean(root, resolveReference(root, schema["$ref"]), value, hops + 1)
  }
  const { properties, type } = schema
  const kind = Array.isArray(value) ? "array" : "object"
  if (type !== undefined && !(Array.isArray(type) ? type.includes(kind) : type === kind)) return false
  if (!Predicate.isObject(properties) || !Predicate.isObject(value)) return true
  return Object.entries(properties).every(([name, property]) => {
    const given = value[name]
    if (!Predicate.isObject(property) || typeof given !== "string") return true
    if (Object.hasOwn(property, "const")) return property["const"] === given
    return !Array.isArray(property["enum"]) || property["enum"].includes(given)
  })
}
