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
