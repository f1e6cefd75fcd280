/**
 * Puts words into the OpenAPI document: what an endpoint does, and what each of its parameters takes.
 *
 * Parameters arrive as text, so the derived document knows them as strings; here they get the type that a caller thinks in.
 */
import * as OpenApi from "effect/http-api/OpenApi"

/** How a parameter appears in the document. */
export interface ParameterDocumentation {
  readonly description: string
  /** A JSON Schema in place of the derived one. */
  readonly schema?: { readonly [key: string]: unknown }
}

/** The annotations of an endpoint. Parameters go by their names. */
export const documentation = (options: {
  readonly summary: string
  readonly description?: string
  readonly parameters?: { readonly [name: string]: ParameterDocumentation }
}) => {
  const { description, parameters = {}, summary } = options
  return OpenApi.annotations({
    summary,
    ...(description === undefined ? {} : { description }),
    transform: (operation) => ({
      ...operation,
      parameters: (operation as OpenApi.OpenAPISpecOperation).parameters.map((parameter) => {
        const known = parameters[parameter.name]
        return known === undefined ? parameter : { ...parameter, ...known }
      })
    })
  })
}

/** The parameter that names an execution. */
export const executionIdParameter: ParameterDocumentation = { description: "The execution's id." }

/** The headers that say what started an execution, or who answers. */
export const triggerParameters: { readonly [name: string]: ParameterDocumentation } = {
  "x-executor-trigger": {
    description:
      "The kind of trigger that is recorded: 1 to 64 characters of a-z, 0-9, '.', '_' and '-'. `http` without it.",
    schema: { type: "string", pattern: "^[a-z0-9._-]{1,64}$", default: "http" }
  },
  "x-executor-client": {
    description: "The calling program as name/version, recorded with the trigger.",
    schema: { type: "string", maxLength: 128, examples: ["my-app/1.2.0"] }
  },
  "x-executor-user": {
    description:
      "The person on whose behalf the program calls, recorded with the trigger, and as who answered a question. It is not verified.",
    schema: { type: "string", maxLength: 128, examples: ["ann"] }
  },
  traceparent: { description: "W3C trace context, recorded with the trigger. One that is malformed is left out." }
}

/** The header that has a submission done once. */
export const idempotencyParameter: ParameterDocumentation = {
  description:
    "Has the submission done once: the same key and code give the same execution, running or finished; other code under the same key " +
    "is a 409. 1 to 255 characters.",
  schema: { type: "string", minLength: 1, maxLength: 255, examples: ["0b0e3d5c-2f1e-4f0e-9d7e-1a2b3c4d5e6f"] }
}
