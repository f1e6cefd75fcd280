/**
 * Whether what a person filled in fits the form that asked for it.
 *
 * Used by whoever takes answers, before one is given to the tool. The schema comes from the tool, so it is treated as one
 * that nobody vouches for.
 */
import { Effect, Schema } from "effect"
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
