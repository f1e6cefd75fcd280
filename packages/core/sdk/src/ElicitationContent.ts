/**
 * What a person filled in, beside the form that asked for it: what the form fills in itself, and whether the whole fits.
 *
 * Used by each surface that takes answers, before one is given to the tool. The schema comes from the tool, and may be wrong.
 */
import { Effect, Predicate, Schema } from "effect"
import type { ElicitationRequest, ElicitationResponse } from "./Elicitation.ts"
import { copyJson, type FieldIssue } from "./internal/json.ts"
import { dynamicToolValidate } from "./internal/toolInput.ts"
import { JsonSchema } from "./Tool.ts"

const isJsonSchema = Schema.is(JsonSchema)

/**
 * What is wrong with `content`, by field; empty if nothing is. A question whose schema is missing or of no use takes any
 * object.
 */
export const elicitationContentIssues = (
  requestedSchema: unknown,
  content: unknown
): Effect.Effect<ReadonlyArray<FieldIssue>> => {
  const copied = copyJson(content)
  if (!copied.ok) return Effect.succeed([copied.issue])
  if (!isJsonSchema(requestedSchema)) return Effect.succeed([])
  return dynamicToolValidate(requestedSchema)(copied).pipe(
    Effect.map((validation) => (validation.ok ? [] : validation.issues)),
    Effect.catch(() => Effect.succeed([]))
  )
}

/**
 * The answer with the defaults of the form where an accepted one leaves fields out; any other answer as it is. A default of `null` is
 * filled in where the field is required: elsewhere leaving it out says the same, and the field may take no `null`.
 */
export const withFormDefaults = (
  { kind, requestedSchema }: Pick<ElicitationRequest, "kind" | "requestedSchema">,
  response: ElicitationResponse
): ElicitationResponse => {
  if (kind !== "form" || response.action !== "accept" || !Predicate.isObject(requestedSchema)) return response
  const { properties, required } = requestedSchema as { readonly [keyword: string]: unknown }
  if (!Predicate.isObject(properties)) return response
  const { content = {} } = response
  const isRequired = (name: string) => Array.isArray(required) && required.includes(name)
  const defaults = Object.entries(properties).flatMap(([name, field]): ReadonlyArray<readonly [string, unknown]> => {
    const value: unknown = Predicate.isObject(field) ? (field as { readonly default?: unknown }).default : undefined
    const isLeftOut = value === undefined || (value === null && !isRequired(name))
    return isLeftOut || Object.hasOwn(content, name) ? [] : [[name, value]]
  })
  return defaults.length === 0
    ? response
    : { ...response, content: Object.fromEntries([...defaults, ...Object.entries(content)]) }
}
