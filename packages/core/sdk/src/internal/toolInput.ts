/**
 * The input of a tool: the JSON Schema shown to callers, and the check its arguments must pass.
 */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec"
import { Effect, Schema } from "effect"
import type { ValidationSchema } from "../Plugin.ts"
import type { JsonSchema } from "../Tool.ts"
import { toHandler } from "./exactNumbers.ts"
import { copyJsonSteps, type FieldIssue, formatField, type PlainJson } from "./json.ts"
import { BrokenSchema, type JsonValidator, makeJsonValidator, maxAtOnce, maxIssues } from "./jsonSchemaValidator.ts"
import { lenientArguments } from "./lenientArguments.ts"
import { atOnce, inSlices, startingNow, type Steps } from "./slices.ts"

/** Validated arguments, or what is wrong with them. */
export type Validation =
  | {
      readonly ok: true
      /** What the tool gets. */
      readonly value: unknown
      /** The same as JSON, for a person to look at. */
      readonly asked: unknown
    }
  | { readonly ok: false; readonly issues: ReadonlyArray<FieldIssue> }

/** Checks arguments. Fails with a {@link BrokenSchema} when the schema is of no use. */
export type Validate = (input: PlainJson) => Effect.Effect<Validation, BrokenSchema>

/**
 * The size of arguments that a Standard Schema can check. Such a check is one step, whose length is up to the library and the schema;
 * with this much they take up to ten milliseconds. A JSON Schema is checked in steps and has no such bound.
 */
export const maxStandardSize = 10_000

/** An input as the catalog needs it. */
export interface ToolInput {
  readonly jsonSchema: JsonSchema
  readonly validate: Validate
}

/** The input of a tool that takes nothing. */
const noInput: JsonSchema = { type: "object", properties: {}, additionalProperties: false }

/** The input of a tool of the host's own code. Throws an error that tells what to do where there is no JSON Schema for it. */
export const staticToolInput = (input: JsonSchema | ValidationSchema | undefined): ToolInput => {
  if (input === undefined) return { jsonSchema: noInput, validate: validateJson(noInput, true) }
  if (isStandard(input)) {
    const jsonSchema = schemaJson(input, "input")
    return { jsonSchema, validate: validateStandard(input["~standard"], jsonSchema) }
  }
  if (Schema.isSchema(input)) {
    const codec = Schema.toCodecJson(input as Schema.Codec<unknown>)
    const standard = Schema.toStandardSchemaV1(codec, { parseOptions: { onExcessProperty: "error" } })
    const jsonSchema = schemaJson(input, "input")
    return { jsonSchema, validate: validateStandard(standard["~standard"], jsonSchema) }
  }
  return { jsonSchema: input as JsonSchema, validate: validateJson(input as JsonSchema, true) }
}

/** The JSON Schema of a result. Throws as {@link staticToolInput} does. */
export const staticToolOutput = (output: JsonSchema | ValidationSchema | undefined): JsonSchema | undefined =>
  output === undefined ? undefined : schemaJson(output, "output")

/** The check for a schema that came from outside. */
export const dynamicToolValidate = (schema: JsonSchema): Validate => validateJson(schema, false)

const schemaJson = (schema: JsonSchema | ValidationSchema, direction: "input" | "output"): JsonSchema => {
  if (isStandard(schema)) return standardJson(schema, direction)
  if (Schema.isSchema(schema)) {
    const document = Schema.toJsonSchemaDocument(schema, direction === "input" ? { onExcessProperty: "error" } : {})
    return Object.keys(document.definitions).length === 0
      ? document.schema
      : { ...document.schema, $defs: document.definitions }
  }
  return schema as JsonSchema
}

const isStandard = (schema: unknown): schema is StandardSchemaV1 =>
  (typeof schema === "object" || typeof schema === "function") && schema !== null && "~standard" in schema

const standardJson = (schema: StandardSchemaV1, direction: "input" | "output"): JsonSchema => {
  const standard: StandardSchemaV1["~standard"] & Partial<StandardJSONSchemaV1.Props> = schema["~standard"]
  if (standard.jsonSchema === undefined) {
    if (Schema.isSchema(schema)) return schemaJson(Schema.toStandardJSONSchemaV1(schema), direction)
    throw new Error(
      `this version of "${standard.vendor}" gives no JSON Schema (it has no "~standard.jsonSchema"). ` +
        "Use zod 4.2 or newer, wrap a valibot schema with toStandardJsonSchema of @valibot/to-json-schema, " +
        "or give a plain JSON Schema"
    )
  }
  try {
    return standard.jsonSchema[direction]({ target: "draft-2020-12" })
  } catch (error) {
    throw new Error(
      `"${standard.vendor}" cannot express the schema as JSON Schema: ${(error as Error).message}. ` +
        "Arguments are JSON: use types that JSON can carry, or give a plain JSON Schema",
      { cause: error }
    )
  }
}

const checking = <E>(
  input: PlainJson,
  steps: (input: PlainJson) => Steps<Effect.Effect<Validation, E>>
): Effect.Effect<Validation, E> =>
  Effect.suspend(() => {
    const work = steps(input)
    return Effect.flatten(input.size <= maxAtOnce ? startingNow(work) : inSlices(work))
  })

const validateJson = (schema: JsonSchema, trusted: boolean): Validate => {
  let validator: JsonValidator | undefined
  function* steps(input: PlainJson): Steps<Effect.Effect<Validation, BrokenSchema>> {
    try {
      validator ??= makeJsonValidator(schema, { trusted })
      let { value } = input
      if (validator.hasDefaults) value = yield* lenientArguments(schema, value)
      let issues = yield* validator.check({ ...input, value })
      if (issues.length > 0) {
        const lenient = yield* lenientArguments(schema, value)
        if (lenient !== value) {
          value = lenient
          issues = yield* validator.check({ ...input, value })
        }
      }
      if (issues.length > 0) return Effect.succeed({ ok: false, issues })
      if (!input.exact || !trusted) return Effect.succeed({ ok: true, value, asked: value })
      const given = yield* toHandler(value, { bigInts: true })
      return Effect.succeed(
        given.issues.length > 0
          ? { ok: false, issues: given.issues.slice(0, maxIssues) }
          : { ok: true, value: given.value, asked: value }
      )
    } catch (error) {
      return error instanceof BrokenSchema ? Effect.fail(error) : Effect.die(error)
    }
  }
  return (input) => checking(input, steps)
}

const validateStandard = (standard: StandardSchemaV1["~standard"], schema: JsonSchema): Validate => {
  const validate = (value: unknown): Effect.Effect<Validation> => {
    const result = standard.validate(value)
    return result instanceof Promise
      ? Effect.map(
          Effect.promise(() => result),
          (settled) => standardValidation(settled, value)
        )
      : Effect.succeed(standardValidation(result, value))
  }
  function* steps({ exact, size, value }: PlainJson): Steps<Effect.Effect<Validation>> {
    if (size > maxStandardSize) {
      // Text of that length may still hold few values: a copy tells how many.
      const copied = yield* copyJsonSteps(value)
      if (!copied.ok || copied.size > maxStandardSize) return Effect.succeed({ ok: false, issues: [tooLarge] })
    }
    if (exact) {
      const { issues } = yield* toHandler(value, { bigInts: false })
      if (issues.length > 0) return Effect.succeed({ ok: false, issues: issues.slice(0, maxIssues) })
    }
    return Effect.flatMap(validate(value), (validation) => {
      if (validation.ok) return Effect.succeed(validation)
      const changed = atOnce(lenientArguments(schema, value))
      return changed === value ? Effect.succeed(validation) : validate(changed)
    })
  }
  return (input) => checking(input, steps)
}

const tooLarge: FieldIssue = {
  field: "",
  message: `hold more than ${maxStandardSize} values, which this tool's schema cannot check in one piece: pass them in several calls`
}

const standardValidation = (result: StandardSchemaV1.Result<unknown>, asked: unknown): Validation =>
  result.issues === undefined
    ? { ok: true, value: result.value, asked }
    : {
        ok: false,
        issues: result.issues.slice(0, maxIssues).map((issue) => ({
          field: formatField((issue.path ?? []).map(pathKey)),
          message: issue.message
        }))
      }

const pathKey = (segment: PropertyKey | StandardSchemaV1.PathSegment): string | number => {
  const key = typeof segment === "object" ? segment.key : segment
  return typeof key === "number" ? key : String(key)
}
