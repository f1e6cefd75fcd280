/**
 * What a JSON Schema lets stand at a place, as far as it matters to someone who types a value: the types, the allowed values,
 * the known properties and items. Validation proper is the executor's; this only reads.
 */
import type { JsonSchema } from "@executor/sdk"
import { Predicate } from "effect"

/** The types of JSON Schema. */
export type Scalar = "string" | "number" | "integer" | "boolean" | "null" | "object" | "array"

const scalars: ReadonlySet<unknown> = new Set(["string", "number", "integer", "boolean", "null", "object", "array"])

const isScalar = (value: unknown): value is Scalar => scalars.has(value)

/** A place in a schema. */
export interface Resolved {
  /** The types that may stand here; absent when the schema does not say. */
  readonly kinds: ReadonlyArray<Scalar> | undefined
  /** The only values that may stand here, where the schema lists them. */
  readonly values: ReadonlyArray<unknown> | undefined
  /** The declared properties. */
  readonly names: ReadonlyArray<string>
  /** Whether the schema names this place, rather than merely allowing it. */
  readonly declared: boolean
  /** A property or item; `undefined` where none of that name may stand. */
  readonly property: (name: string) => Resolved | undefined
  /** What an array here holds. */
  readonly items: Resolved
}

const follow = (reference: string, root: JsonSchema): unknown => {
  if (reference === "#") return root
  if (!reference.startsWith("#/")) return undefined
  let current: unknown = root
  for (const segment of reference.slice(2).split("/")) {
    const name = decodeURIComponent(segment).replaceAll("~1", "/").replaceAll("~0", "~")
    if (!Predicate.isObjectKeyword(current) || !Object.hasOwn(current, name)) return undefined
    current = Reflect.get(current, name)
  }
  return current
}

type Part = { readonly [key: string]: unknown }

const isPart = (schema: unknown): schema is Part => Predicate.isObject(schema)

/** The schemas that together say what may stand at a place: itself, what it refers to, and its alternatives, each once. */
const flatten = (schema: unknown, root: JsonSchema, found: Set<Part> = new Set()): ReadonlyArray<Part> => {
  if (!isPart(schema) || found.has(schema)) return [...found]
  found.add(schema)
  if (typeof schema["$ref"] === "string") flatten(follow(schema["$ref"], root), root, found)
  for (const keyword of ["allOf", "anyOf", "oneOf"]) {
    const alternatives = schema[keyword]
    if (Array.isArray(alternatives)) for (const alternative of alternatives) flatten(alternative, root, found)
  }
  return [...found]
}

const kindsOf = (parts: ReadonlyArray<Part>): ReadonlyArray<Scalar> | undefined => {
  const kinds = new Set<Scalar>()
  for (const part of parts) {
    const types = Array.isArray(part["type"]) ? part["type"] : [part["type"]]
    for (const type of types) if (isScalar(type)) kinds.add(type)
    if (part["properties"] !== undefined) kinds.add("object")
  }
  if (kinds.has("number")) kinds.delete("integer")
  return kinds.size === 0 ? undefined : [...kinds]
}

const valuesOf = (parts: ReadonlyArray<Part>): ReadonlyArray<unknown> | undefined => {
  const values: Array<unknown> = []
  for (const part of parts) {
    if (Array.isArray(part["enum"])) values.push(...part["enum"])
    else if ("const" in part) values.push(part["const"])
    else if (isScalar(part["type"]) && part["type"] !== "null" && parts.length > 1 && part["$ref"] === undefined) {
      // An alternative without a list of values: the others' lists do not bind.
      if (part["anyOf"] === undefined && part["oneOf"] === undefined && part["allOf"] === undefined) return undefined
    }
  }
  return values.length === 0 ? undefined : values
}

const make = (schema: unknown, root: JsonSchema, declared: boolean): Resolved => {
  const parts = flatten(schema, root)
  const properties = new Map<string, unknown>()
  for (const part of parts) {
    if (!Predicate.isObject(part["properties"])) continue
    for (const [name, value] of Object.entries(part["properties"])) properties.set(name, value)
  }
  const kinds = kindsOf(parts)
  const itemSchema = parts.map((part) => part["items"]).find((items) => items !== undefined) ?? true
  return {
    kinds,
    values: valuesOf(parts),
    names: [...properties.keys()],
    declared,
    property: (name) => {
      if (properties.has(name)) return make(properties.get(name), root, true)
      if (kinds?.includes("array") === true && /^(0|[1-9]\d{0,5})$/.test(name)) return make(itemSchema, root, declared)
      if (kinds !== undefined && !kinds.includes("object")) return undefined
      const others = parts.map((part) => part["additionalProperties"]).find((other) => other !== undefined)
      // A schema that names its properties and is silent on others most likely means only those: a typing error is better
      // refused than sent.
      const open = others === undefined ? properties.size === 0 : others !== false
      return open ? make(others ?? true, root, false) : undefined
    },
    get items() {
      return make(itemSchema, root, declared)
    }
  }
}

/** Reads a schema. */
export const resolve = (schema: JsonSchema): Resolved => make(schema, schema, true)

const article: { readonly [kind in Scalar]: string } = {
  string: "text",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  null: "null",
  object: "a JSON object",
  array: "a JSON array"
}

/** What may stand at a place, in words. */
export const describe = (place: Resolved): string => {
  if (place.values !== undefined) return `one of ${place.values.map((value) => JSON.stringify(value)).join(", ")}`
  return place.kinds === undefined ? "any JSON value" : place.kinds.map((kind) => article[kind]).join(" or ")
}

const distance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      current.push(
        Math.min(
          (previous[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
        )
      )
    }
    previous = current
  }
  return previous[b.length] ?? 0
}

/** The names nearest to a mistyped one, at most three. */
export const suggest = (name: string, names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const lower = name.toLowerCase()
  return names
    .map((candidate) => ({ candidate, edits: distance(lower, candidate.toLowerCase()) }))
    .filter(
      ({ candidate, edits }) => edits < candidate.length && edits <= Math.max(1, Math.floor((candidate.length + 1) / 3))
    )
    .toSorted((a, b) => a.edits - b.edits)
    .slice(0, 3)
    .map(({ candidate }) => candidate)
}
