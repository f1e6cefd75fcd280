/**
 * Validates values against JSON Schemas that nobody vouches for.
 *
 * Schemas are interpreted, never compiled to code. Small values are checked at once, by the library; large ones, and those that a schema
 * could make more of than their size, in steps (`jsonSchemaSteps.ts`). `pattern` can backtrack without end, and sandboxed code
 * chooses the value: it is checked only for schemas of the host's own code, the source checks it for all others. `format` is a hint for
 * the caller, of which every server has its own idea: it is never checked. A required property with a default may be absent, and
 * `nullable` takes `null`, as OpenAPI 3.0 has it.
 */
import { type OutputUnit, type Schema as CfSchema, type SchemaDraft, validate } from "@cfworker/json-schema"
import { Predicate } from "effect"
import type { JsonSchema } from "../Tool.ts"
import { copyJson, describeValue, type FieldIssue, formatField, type PlainJson } from "./json.ts"
import { SteppedSchema, TooMuchToCheck } from "./jsonSchemaSteps.ts"
import { toNearest } from "./exactNumbers.ts"
import { neededProperties, takesNull } from "./lenientArguments.ts"
import { printShortType } from "./printType.ts"
import { type ChangeKeyword, dropped, rebuildSchema } from "./rebuildSchema.ts"
import { locationTokens, resolveLocation } from "./schemaPointer.ts"
import type { Steps } from "./slices.ts"

/** More issues help nobody to fix the call. */
export const maxIssues = 20

/** Beyond this size a value is checked in steps: the library checks a thousand values in about a millisecond. */
export const maxAtOnce = 1000

/**
 * Checks a plain value. Throws {@link BrokenSchema} when the schema itself is: a reference that leads nowhere, an endless one.
 */
export interface JsonValidator {
  readonly check: (input: PlainJson) => Steps<ReadonlyArray<FieldIssue>>
  /** Whether some property is required and has a default. */
  readonly hasDefaults: boolean
}

/** The schema itself is broken. */
export class BrokenSchema extends Error {}

/** Makes a validator. `trusted` schemas are those in the host's own code. */
export const makeJsonValidator = (schema: JsonSchema, options: { readonly trusted: boolean }): JsonValidator => {
  const copied = copyJson(schema)
  if (!copied.ok) throw new BrokenSchema(`${copied.issue.field} ${copied.issue.message}`)
  if (typeof copied.value === "boolean") {
    const issues = copied.value ? [] : [{ field: "", message: "takes no arguments at all" }]
    return {
      hasDefaults: false,
      *check() {
        return issues
      }
    }
  }
  const keep = { patterns: options.trusted, ids: refersToIds(JSON.stringify(copied.value)) }
  const { hasDefaults, usable } = checkable(copied.value, keep)
  const stepped = attempt(() => new SteppedSchema(usable as CfSchema, draftOf(schema)))
  const json = JSON.stringify(usable)
  // The work that these make is not in proportion to the value's size.
  const alwaysInSteps = /"(\$ref|\$recursiveRef|uniqueItems)":/.test(json)

  function* check({ exact, size, value }: PlainJson): Steps<ReadonlyArray<FieldIssue>> {
    try {
      const looked = exact ? yield* toNearest(value) : value
      if (!alwaysInSteps && size <= maxAtOnce) {
        const { errors, valid } = validate(looked, stepped.root, stepped.draft, stepped.lookup, false)
        return valid ? [] : formatIssues(usable, value, errors)
      }
      const errors = yield* stepped.validate(looked)
      return errors === undefined ? [] : formatIssues(usable, value, errors)
    } catch (error) {
      if (error instanceof TooMuchToCheck) return [{ field: "", message: tooMuch }]
      throw broken(error)
    }
  }
  return { check, hasDefaults }
}

const tooMuch = "are too deeply nested to be checked against the alternatives of the schema: pass a flatter value"

const attempt = <A>(f: () => A): A => {
  try {
    return f()
  } catch (error) {
    throw broken(error)
  }
}

const broken = (error: unknown): BrokenSchema => {
  const message = error instanceof RangeError ? "it refers to itself without end" : String((error as Error).message)
  return new BrokenSchema((/^.*?(?=\n| {2}|$)/s.exec(message)?.[0] ?? "").trim())
}

const draftOf = (schema: JsonSchema): SchemaDraft => {
  const uri = Predicate.isObject(schema) ? schema["$schema"] : undefined
  const draft = typeof uri === "string" ? /draft-0([467])/.exec(uri)?.[1] : undefined
  return draft === undefined ? "2020-12" : draft === "4" ? "4" : "7"
}

/** Keywords that check nothing, or must not, but that the validator would check, or search for schemas and ids. */
const annotations = new Set(["title", "description", "default", "example", "examples", "format"])

/** The schema as it is checked. Ids are only wanted where a reference uses one, and are often wrong or given twice. */
const checkable = (
  schema: unknown,
  keep: { readonly patterns: boolean; readonly ids: boolean }
): { readonly usable: unknown; readonly hasDefaults: boolean } => {
  let hasDefaults = false
  const change: ChangeKeyword = (key, value, owner) => {
    if (annotations.has(key) || key.startsWith("x-")) return dropped
    if (key === "required" && Array.isArray(value)) {
      const needed = neededProperties(owner)
      if (needed.length === value.length) return value
      hasDefaults = true
      return needed
    }
    if (!keep.ids && (key === "$id" || key === "id")) return dropped
    if (keep.patterns) return value
    if (key === "pattern" || key === "patternProperties") return dropped
    const restOfPatterns = key === "additionalProperties" || key === "unevaluatedProperties"
    return restOfPatterns && Object.hasOwn(owner, "patternProperties") ? dropped : value
  }
  return { usable: rebuildSchema(schema, change, (each) => takingNull(schema, each)), hasDefaults }
}

/** A `nullable` schema in the words of JSON Schema. Its other keywords stay where references into it may expect them. */
const takingNull = (root: unknown, schema: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
  const { nullable, ...rest } = schema
  if (nullable !== true || takesNull(root, rest)) return schema
  if (["$ref", "allOf", "not", "if"].some((key) => Object.hasOwn(rest, key))) return { anyOf: [{ type: "null" }, rest] }
  const { const: constant, enum: values, type } = rest
  const out: Record<string, unknown> = { ...rest }
  if (type !== undefined) out["type"] = [...[type].flat(), "null"]
  if (Array.isArray(values)) out["enum"] = [...values, null]
  if (Object.hasOwn(rest, "const")) {
    delete out["const"]
    out["enum"] = [constant, null]
  }
  for (const key of ["anyOf", "oneOf"]) {
    const alternatives = rest[key]
    if (Array.isArray(alternatives) && !alternatives.some((each) => takesNull(root, each))) {
      out[key] = [...(alternatives as ReadonlyArray<unknown>), { type: "null" }]
    }
  }
  return out
}

/** Whether a reference leads to an id instead of a place inside the document. */
const refersToIds = (json: string): boolean => /"\$(ref|recursiveRef|dynamicRef)":"(?!#("|\/))/.test(json)

/** Keywords whose errors only introduce the errors that follow. */
const introductions = new Set([
  "$ref",
  "$recursiveRef",
  "properties",
  "patternProperties",
  "additionalProperties",
  "unevaluatedProperties",
  "dependentSchemas",
  "dependencies",
  "items",
  "prefixItems",
  "additionalItems",
  "unevaluatedItems",
  "allOf",
  "if"
])

const formatIssues = (root: unknown, value: unknown, errors: ReadonlyArray<OutputUnit>): ReadonlyArray<FieldIssue> => {
  const issues = new Map<string, FieldIssue>()
  let closed: string | undefined
  for (const unit of selectErrors(errors)) {
    if (unit.keyword === "additionalProperties" || unit.keyword === "unevaluatedProperties") {
      closed = unit.keywordLocation
    }
    if (introductions.has(unit.keyword)) continue
    const issue = formatIssue(root, value, unit, closed)
    issues.set(`${issue.field} ${issue.message}`, issue)
    if (issues.size >= maxIssues) break
  }
  return [...issues.values()]
}

/**
 * Leaves out what failed inside of alternatives: the failed choice itself is the error. But if only one alternative has the
 * right type at all, it is the one that was meant, and its own errors are told instead.
 */
const selectErrors = (errors: ReadonlyArray<OutputUnit>): ReadonlyArray<OutputUnit> => {
  const out: Array<OutputUnit> = []
  for (let index = 0; index < errors.length; index++) {
    const unit = errors[index]
    if (unit === undefined) continue
    if (unit.keyword !== "anyOf" && unit.keyword !== "oneOf") {
      out.push(unit)
      continue
    }
    let end = index + 1
    while (end < errors.length && isInside(errors[end], unit)) end++
    const inside = errors.slice(index + 1, end)
    index = end - 1
    const meant = meantAlternative(unit, inside)
    if (meant === undefined) out.push(unit)
    else out.push(...selectErrors(meant))
  }
  return out
}

/** A value refused by `false` has the place of the value for the place of the keyword. */
const isInside = (unit: OutputUnit | undefined, choice: OutputUnit): boolean =>
  unit !== undefined &&
  (unit.keyword === "false"
    ? unit.instanceLocation.startsWith(choice.instanceLocation)
    : unit.keywordLocation.startsWith(`${choice.keywordLocation}/`))

const meantAlternative = (
  choice: OutputUnit,
  inside: ReadonlyArray<OutputUnit>
): ReadonlyArray<OutputUnit> | undefined => {
  const alternatives = new Map<string, Array<OutputUnit>>()
  let current: Array<OutputUnit> | undefined
  for (const unit of inside) {
    if (unit.keyword !== "false") {
      const alternative = unit.keywordLocation.slice(choice.keywordLocation.length + 1).split("/")[0] ?? ""
      current = alternatives.get(alternative) ?? []
      alternatives.set(alternative, current)
    }
    current?.push(unit)
  }
  const wrongType = (units: ReadonlyArray<OutputUnit>) =>
    units.some(
      (unit) => unit.instanceLocation === choice.instanceLocation && ["type", "const", "enum"].includes(unit.keyword)
    )
  const candidates = [...alternatives.values()].filter((units) => !wrongType(units))
  return candidates.length === 1 ? candidates[0] : undefined
}

const formatIssue = (root: unknown, value: unknown, unit: OutputUnit, closed: string | undefined): FieldIssue => {
  const { actual, path } = lookUp(value, locationTokens(unit.instanceLocation))
  const field = formatField(path)
  const expected = (location: string) => printShortType(root, resolveLocation(root, location), 200)
  const parent = unit.keywordLocation.slice(0, unit.keywordLocation.lastIndexOf("/"))
  switch (unit.keyword) {
    case "required": {
      const name = /required property "(.*)"\.$/s.exec(unit.error)?.[1] ?? ""
      const type = expected(`${parent}/properties/${escapeToken(name)}`)
      return { field: formatField([...path, name]), message: `is required: expected ${type}` }
    }
    case "type":
    case "enum":
    case "const":
    case "anyOf":
    case "oneOf":
      return { field, message: `expected ${expected(parent)}, got ${describeValue(actual)}` }
    case "false": {
      const owner = closed === undefined ? undefined : resolveLocation(root, closed.slice(0, closed.lastIndexOf("/")))
      const properties = Predicate.isObject(owner) ? owner["properties"] : undefined
      const known = Predicate.isObject(properties) ? Object.keys(properties).slice(0, 30) : []
      return {
        field,
        message: `is unknown: ${known.length === 0 ? "no field is" : `the fields are ${known.join(", ")}`}`
      }
    }
    default:
      return { field, message: unit.error.replace(/\.$/, "").replace(/^./, (first) => first.toLowerCase()) }
  }
}

const escapeToken = (token: string): string => encodeURIComponent(token.replaceAll("~", "~0").replaceAll("/", "~1"))

const lookUp = (
  value: unknown,
  tokens: ReadonlyArray<string>
): { readonly actual: unknown; readonly path: ReadonlyArray<string | number> } => {
  let actual = value
  const path: Array<string | number> = []
  for (const token of tokens) {
    path.push(Array.isArray(actual) ? Number(token) : token)
    actual = Predicate.isObjectOrArray(actual) ? Reflect.get(actual, token) : undefined
  }
  return { actual, path }
}
