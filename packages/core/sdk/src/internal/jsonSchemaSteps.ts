/**
 * Checks a value against a JSON Schema in steps: for values that are large, and for schemas that refer to themselves.
 *
 * It walks all that leads deeper, into the value or into the schema, and yields on the way. What is left, a number or a short
 * string against its keywords, is the library's. Errors have the library's form, without the units that only introduce others;
 * in one array or object it stops after {@link maxWrongMembers} wrong members, since more help nobody.
 *
 * Where a schema refers to itself in alternatives, the work can grow exponentially with the depth of the value, which sandboxed
 * code chooses. So there is {@link maxChecks}.
 */
import {
  deepCompareStrict,
  dereference,
  type OutputUnit,
  type Schema,
  type SchemaDraft,
  validate
} from "@cfworker/json-schema"
import { Findings, type Key } from "./jsonSchemaFindings.ts"
import type { Steps } from "./slices.ts"

/** A megabyte of values, each against several alternatives, takes less; this many take some seconds, in slices. */
export const maxChecks = 4_000_000

/** Wrong members of one array or object that are looked for. */
const maxWrongMembers = 20

/** `uniqueItems` compares every pair of items. */
export const maxUniqueItems = 1000

/** Checks between two steps. */
const checksPerStep = 256

/** To list more keys than these is a long step, so it is done once for each object. */
const manyKeys = 256

/** The check would take more than {@link maxChecks}. */
export class TooMuchToCheck extends Error {}

/** A schema ready to be checked against. */
export class SteppedSchema {
  readonly root: Schema
  readonly draft: SchemaDraft
  readonly lookup: Record<string, Schema | boolean>
  /** Whether it asks which members other keywords have looked at. */
  readonly asksForRest: boolean

  /** Throws where two places of the schema claim one id. */
  constructor(root: Schema, draft: SchemaDraft) {
    this.root = root
    this.draft = draft
    this.lookup = dereference(root)
    this.asksForRest = JSON.stringify(root).includes('"unevaluated')
  }

  /** What is wrong with a value, or `undefined`. Throws where the schema is broken, and {@link TooMuchToCheck}. */
  *validate(value: unknown): Steps<ReadonlyArray<OutputUnit> | undefined> {
    const check = new Check(this)
    return (yield* check.against(value, this.root, null, undefined)) ? undefined : check.found.units()
  }
}

type Anchor = Schema | null
/** Members that some keyword has looked at and found right. Absent if nobody asks. */
type Seen = Set<Key> | undefined

class Check {
  readonly found = new Findings()
  readonly #schema: SteppedSchema
  readonly #listed = new Map<object, ReadonlyArray<string>>()
  #checks = 0

  constructor(schema: SteppedSchema) {
    this.#schema = schema
  }

  *against(value: unknown, schema: Schema | boolean, outer: Anchor, seenOutside: Seen): Steps<boolean> {
    if (++this.#checks % checksPerStep === 0) {
      if (this.#checks > maxChecks) throw new TooMuchToCheck()
      yield
    }
    if (schema === true) return true
    if (schema === false) return this.found.wrong("false", "Nothing is allowed.")
    if (typeof value !== "object" || value === null) return this.#byLibrary(value, schema, outer)

    const anchor = outer ?? (schema.$recursiveAnchor === true ? schema : null)
    const seen: Seen = this.#schema.asksForRest ? new Set() : undefined
    let valid = yield* this.#references(value, schema, anchor, seen)
    if (schema.$ref === undefined || this.#schema.draft === "2020-12") {
      if (!(yield* this.#combinations(value, schema, anchor, seen))) valid = false
      if (!this.#kind(value, schema)) valid = false
      const members = Array.isArray(value)
        ? this.#array(value, schema, anchor, seen)
        : this.#object(value as Record<Key, unknown>, schema, anchor, seen)
      if (!(yield* members)) valid = false
    }
    if (valid && seen !== undefined && seenOutside !== undefined) {
      for (const key of seen) seenOutside.add(key)
      if (seen.size > manyKeys) yield
    }
    return valid
  }

  *#references(value: unknown, schema: Schema, anchor: Anchor, seen: Seen): Steps<boolean> {
    let valid = true
    if (schema.$recursiveRef === "#") {
      valid = yield* this.#below(["$recursiveRef"], value, anchor ?? this.#schema.root, anchor, seen)
    }
    if (schema.$ref !== undefined) {
      const target = this.#schema.lookup[schema.__absolute_ref__ ?? schema.$ref]
      if (target === undefined) throw new Error(`Unresolved $ref "${schema.$ref}".`)
      if (!(yield* this.#below(["$ref"], value, target, anchor, seen))) valid = false
    }
    return valid
  }

  *#combinations(value: unknown, schema: Schema, anchor: Anchor, seen: Seen): Steps<boolean> {
    let valid = true
    const { found } = this
    if (schema.not !== undefined) {
      const mark = found.count
      const matches = yield* this.#below(["not"], value, schema.not, anchor, undefined)
      found.forget(mark)
      if (matches) valid = this.found.wrong("not", 'Instance matched "not" schema.')
    }
    for (const keyword of ["anyOf", "oneOf"] as const) {
      const alternatives = schema[keyword]
      if (alternatives === undefined) continue
      const mark = found.count
      let matches = 0
      for (const [index, each] of alternatives.entries()) {
        if (yield* this.#below([keyword, index], value, each, anchor, seen)) matches++
      }
      if (matches === 1 || (matches > 1 && keyword === "anyOf")) found.forget(mark)
      else valid = this.found.wrong(keyword, `Instance matches ${matches} subschemas.`, mark)
    }
    for (const [index, each] of (schema.allOf ?? []).entries()) {
      if (!(yield* this.#below(["allOf", index], value, each, anchor, seen))) valid = false
    }
    if (schema.if !== undefined) {
      const mark = found.count
      const branch = (yield* this.#below(["if"], value, schema.if, anchor, seen)) ? "then" : "else"
      found.forget(mark)
      const each = schema[branch]
      if (each !== undefined && !(yield* this.#below([branch], value, each, anchor, seen))) valid = false
    }
    return valid
  }

  /** `type`, `const` and `enum` of an array or object. */
  #kind(value: unknown, { const: constant, enum: values, type }: Schema): boolean {
    let valid = true
    const kind = Array.isArray(value) ? "array" : "object"
    if (type !== undefined && !(Array.isArray(type) ? type.includes(kind) : type === kind)) {
      valid = this.found.wrong("type", `Instance type "${kind}" is invalid.`)
    }
    if (constant !== undefined && !deepCompareStrict(value, constant)) {
      valid = this.found.wrong("const", "Instance does not match.")
    }
    if (values !== undefined && !values.some((each: unknown) => deepCompareStrict(value, each))) {
      valid = this.found.wrong("enum", "Instance does not match any of the values.")
    }
    return valid
  }

  *#object(value: Record<Key, unknown>, schema: Schema, anchor: Anchor, seen: Seen): Steps<boolean> {
    const { additionalProperties, patternProperties, properties, propertyNames, unevaluatedProperties } = schema
    let valid = yield* this.#propertyCounts(value, schema)
    if (propertyNames !== undefined) {
      for (const key of yield* this.#keys(value)) {
        this.found.place.push(key)
        const named = yield* this.#below(["propertyNames"], key, propertyNames, anchor, undefined)
        this.found.place.pop()
        if (named) continue
        valid = false
        break
      }
    }
    if (!(yield* this.#dependents(value, schema, anchor, seen))) valid = false

    const named = new Set<Key>()
    for (const [key, each] of Object.entries(properties ?? {})) {
      if (!Object.hasOwn(value, key)) continue
      named.add(key)
      if (!(yield* this.#members(value, [key], ["properties", key], each, anchor, seen))) valid = false
    }
    for (const [pattern, each] of Object.entries(patternProperties ?? {})) {
      const regex = new RegExp(pattern, "u")
      const keys = (yield* this.#keys(value)).filter((key) => regex.test(key))
      for (const key of keys) named.add(key)
      if (!(yield* this.#members(value, keys, ["patternProperties", pattern], each, anchor, seen))) valid = false
    }
    if (additionalProperties !== undefined && additionalProperties !== true) {
      const rest = without(yield* this.#keys(value), named)
      const members = this.#members(value, rest, ["additionalProperties"], additionalProperties, anchor, seen)
      if (!(yield* members)) valid = false
    } else if (additionalProperties === true && seen !== undefined) {
      for (const key of yield* this.#keys(value)) seen.add(key)
    }
    if (unevaluatedProperties !== undefined && seen !== undefined) {
      const rest = without(yield* this.#keys(value), seen)
      const members = this.#members(value, rest, ["unevaluatedProperties"], unevaluatedProperties, anchor, seen)
      if (!(yield* members)) valid = false
    }
    return valid
  }

  *#propertyCounts(value: object, { maxProperties, minProperties, required }: Schema): Steps<boolean> {
    let valid = true
    for (const key of required ?? []) {
      if (Object.hasOwn(value, key)) continue
      valid = this.found.wrong("required", `Instance does not have required property "${key}".`)
    }
    if (minProperties === undefined && maxProperties === undefined) return valid
    const { length } = yield* this.#keys(value)
    if (minProperties !== undefined && length < minProperties) {
      valid = this.found.wrong("minProperties", `Instance does not have at least ${minProperties} properties.`)
    }
    if (maxProperties !== undefined && length > maxProperties) {
      valid = this.found.wrong("maxProperties", `Instance has more than ${maxProperties} properties.`)
    }
    return valid
  }

  *#dependents(value: object, schema: Schema, anchor: Anchor, seen: Seen): Steps<boolean> {
    let valid = true
    for (const keyword of ["dependentRequired", "dependentSchemas", "dependencies"] as const) {
      for (const [key, each] of Object.entries<ReadonlyArray<string> | Schema | boolean>(schema[keyword] ?? {})) {
        if (!Object.hasOwn(value, key)) continue
        if (!isList(each)) {
          if (!(yield* this.#below([keyword, key], value, each, anchor, seen))) valid = false
          continue
        }
        for (const needed of each) {
          if (Object.hasOwn(value, needed)) continue
          valid = this.found.wrong("dependentRequired", `Instance has "${key}" but does not have "${needed}".`)
        }
      }
    }
    return valid
  }

  *#array(value: ReadonlyArray<unknown>, schema: Schema, anchor: Anchor, seen: Seen): Steps<boolean> {
    const { additionalItems, contains, items, maxItems, minItems, prefixItems, unevaluatedItems, uniqueItems } = schema
    const { length } = value
    let valid = true
    if (maxItems !== undefined && length > maxItems) {
      valid = this.found.wrong("maxItems", `Array has too many items (${length} > ${maxItems}).`)
    }
    if (minItems !== undefined && length < minItems) {
      valid = this.found.wrong("minItems", `Array has too few items (${length} < ${minItems}).`)
    }
    let next = 0
    const ordered: ReadonlyArray<Schema | boolean> = prefixItems ?? (isList(items) ? items : [])
    for (const each of ordered.slice(0, length)) {
      const keyword = [prefixItems === undefined ? "items" : "prefixItems", next]
      if (!(yield* this.#members(value, [next++], keyword, each, anchor, seen))) valid = false
    }
    const [rest, keyword] = isList(items) ? [additionalItems, "additionalItems"] : [items, "items"]
    if (rest !== undefined) {
      if (!(yield* this.#members(value, range(next, length), [keyword], rest, anchor, seen))) valid = false
    }
    if (contains !== undefined && !(yield* this.#contains(value, schema, anchor, seen))) valid = false
    if (unevaluatedItems !== undefined && seen !== undefined) {
      const others = without(range(0, length), seen)
      if (!(yield* this.#members(value, others, ["unevaluatedItems"], unevaluatedItems, anchor, seen))) valid = false
    }
    if (uniqueItems === true && !(yield* this.#unique(value))) valid = false
    return valid
  }

  *#contains(value: ReadonlyArray<unknown>, schema: Schema, anchor: Anchor, seen: Seen): Steps<boolean> {
    const { contains = true, maxContains = Infinity, minContains = 1 } = schema
    const mark = this.found.count
    let found = 0
    for (const [index, item] of value.entries()) {
      this.found.place.push(index)
      const matches = yield* this.#below(["contains"], item, contains, anchor, undefined)
      this.found.place.pop()
      this.found.forget(mark)
      if (!matches) continue
      seen?.add(index)
      found++
    }
    if (found >= minContains && found <= maxContains) return true
    const range = maxContains === Infinity ? `at least ${minContains}` : `${minContains} to ${maxContains}`
    return this.found.wrong("contains", `Array must contain ${range} items that match, not ${found}.`)
  }

  *#unique(value: ReadonlyArray<unknown>): Steps<boolean> {
    if (value.length > maxUniqueItems) {
      return this.found.wrong("uniqueItems", `arrays of unique items are limited to ${maxUniqueItems} items`)
    }
    for (const [index, item] of value.entries()) {
      yield
      for (let other = 0; other < index; other++) {
        if (typeof item === "object" && ++this.#checks % checksPerStep === 0) yield
        if (deepCompareStrict(item, value[other])) {
          return this.found.wrong("uniqueItems", `Duplicate items at indexes ${other} and ${index}.`)
        }
      }
    }
    return true
  }

  /** Checks members against one schema. */
  *#members(
    value: ReadonlyArray<unknown> | Record<Key, unknown>,
    keys: Iterable<Key>,
    keyword: ReadonlyArray<Key>,
    schema: Schema | boolean,
    anchor: Anchor,
    seen: Seen
  ): Steps<boolean> {
    let wrong = 0
    for (const key of keys) {
      const mark = this.found.count
      this.found.place.push(key)
      const valid = yield* this.#below(keyword, (value as Record<Key, unknown>)[key], schema, anchor, undefined)
      this.found.place.pop()
      if (valid) {
        seen?.add(key)
        continue
      }
      // Says to what the errors that follow belong.
      if (keyword.length === 1) this.found.wrong(String(keyword[0]), "A member is wrong.", mark)
      if (++wrong >= maxWrongMembers) break
    }
    return wrong === 0
  }

  /** Goes on with a schema that a keyword holds. */
  *#below(
    keyword: ReadonlyArray<Key>,
    value: unknown,
    schema: Schema | boolean,
    anchor: Anchor,
    seen: Seen
  ): Steps<boolean> {
    const { length } = this.found.schema
    this.found.schema.push(...keyword)
    const valid = yield* this.against(value, schema, anchor, seen)
    this.found.schema.length = length
    return valid
  }

  *#keys(value: object): Steps<ReadonlyArray<string>> {
    const listed = this.#listed.get(value)
    if (listed !== undefined) return listed
    const keys = Object.keys(value)
    if (keys.length > manyKeys) {
      this.#listed.set(value, keys)
      yield
    }
    return keys
  }

  #byLibrary(value: unknown, schema: Schema, anchor: Anchor): boolean {
    const { draft, lookup } = this.#schema
    const { errors, valid } = validate(value, schema, draft, lookup, false, anchor)
    return valid || this.found.take(errors)
  }
}

const isList = <A>(value: unknown): value is ReadonlyArray<A> => Array.isArray(value)

function* range(start: number, end: number): Iterable<number> {
  for (let index = start; index < end; index++) yield index
}

function* without<A extends Key>(keys: Iterable<A>, some: ReadonlySet<Key>): Iterable<A> {
  for (const key of keys) if (!some.has(key)) yield key
}
