/**
 * A question of an execution as MCP can ask it.
 *
 * An approval becomes a form without fields: the client's own accept and decline are the answer, so that no field can
 * say the opposite of the button. A form is passed on when MCP can show all of its fields; what MCP cannot say about a
 * field (a pattern, an unknown format) is left out, and the engine checks the answer against the whole schema as far as
 * it checks any. A page is passed on to a client that can open one. Any other question is not asked inline: see
 * `ToolResult` for what is said instead.
 */
import type { PendingInteraction } from "@executor/execution"
import type { ElicitRequestFormParams, ElicitRequestURLParams } from "@modelcontextprotocol/server"
import { Option, Predicate, Schema } from "effect"
import type { Caller } from "./Caller.ts"
import { cut } from "./Text.ts"

/** Arguments shown with a question are cut here: a person reads them, and must still see the question. */
export const maxQuestionCharacters = 2_000

/** The parameters of `elicitation/create`. */
export type Elicitation = ElicitRequestFormParams | ElicitRequestURLParams

const Label = { title: Schema.optionalKey(Schema.String), description: Schema.optionalKey(Schema.String) }
const Options = Schema.mutable(Schema.Array(Schema.String))
const TitledOptions = Schema.mutable(Schema.Array(Schema.Struct({ const: Schema.String, title: Schema.String })))
const Size = { minItems: Schema.optionalKey(Schema.Finite), maxItems: Schema.optionalKey(Schema.Finite) }

const Choice = Schema.Union([
  Schema.Struct({
    type: Schema.Literal("string"),
    ...Label,
    enum: Options,
    enumNames: Schema.optionalKey(Options),
    default: Schema.optionalKey(Schema.String)
  }),
  Schema.Struct({
    type: Schema.Literal("string"),
    ...Label,
    oneOf: TitledOptions,
    default: Schema.optionalKey(Schema.String)
  }),
  Schema.Struct({
    type: Schema.Literal("array"),
    ...Label,
    ...Size,
    items: Schema.Struct({ type: Schema.Literal("string"), enum: Options }),
    default: Schema.optionalKey(Options)
  }),
  Schema.Struct({
    type: Schema.Literal("array"),
    ...Label,
    ...Size,
    items: Schema.Struct({ anyOf: TitledOptions }),
    default: Schema.optionalKey(Options)
  })
])

const text = {
  type: Schema.Literal("string"),
  ...Label,
  minLength: Schema.optionalKey(Schema.Finite),
  maxLength: Schema.optionalKey(Schema.Finite),
  default: Schema.optionalKey(Schema.String)
}

const Plain = Schema.Union([
  Schema.Struct({ ...text, format: Schema.Literals(["email", "uri", "date", "date-time"]) }),
  Schema.Struct(text),
  Schema.Struct({
    type: Schema.Literals(["number", "integer"]),
    ...Label,
    minimum: Schema.optionalKey(Schema.Finite),
    maximum: Schema.optionalKey(Schema.Finite),
    default: Schema.optionalKey(Schema.Finite)
  }),
  Schema.Struct({ type: Schema.Literal("boolean"), ...Label, default: Schema.optionalKey(Schema.Boolean) })
])

const Root = Schema.Struct({
  type: Schema.Literal("object"),
  properties: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
  required: Schema.optionalKey(Schema.mutable(Schema.Array(Schema.String)))
})

/** Keywords that change which values fit, and that MCP's plain fields do not have: leaving one out would mislead. */
const combinators = ["$ref", "enum", "const", "oneOf", "anyOf", "allOf", "not", "if"]

const readRoot = Schema.decodeUnknownOption(Root)
const readChoice = Schema.decodeUnknownOption(Choice)
const readPlain = Schema.decodeUnknownOption(Plain)

const field = (schema: unknown): Option.Option<typeof Choice.Type | typeof Plain.Type> => {
  const choice = readChoice(schema)
  if (Option.isSome(choice)) return choice
  if (Predicate.isObject(schema) && combinators.some((keyword) => keyword in schema)) return Option.none()
  return readPlain(schema)
}

const form = (schema: unknown): Option.Option<ElicitRequestFormParams["requestedSchema"]> =>
  Option.flatMap(readRoot(schema ?? { type: "object" }), ({ properties = {}, required }) =>
    Option.map(
      Option.all(Object.fromEntries(Object.entries(properties).map(([name, node]) => [name, field(node)]))),
      (fields) => ({
        type: "object" as const,
        properties: fields,
        ...(required === undefined ? {} : { required })
      })
    )
  )

/** The question in words, with the tool and the arguments that it is about where the words do not name them. */
export const describe = ({ request }: PendingInteraction): string => {
  const { args, message, toolPath } = request
  if (toolPath === undefined || message.includes(toolPath)) return message
  const about = args === undefined ? "" : `\nArguments: ${cut(JSON.stringify(args), maxQuestionCharacters)}`
  return `${message}\nTool: ${toolPath}${about}`
}

/** The question as this client can ask it; none if it cannot. */
export const toElicitation = (interaction: PendingInteraction, caller: Caller): Option.Option<Elicitation> => {
  const { kind, requestedSchema, url } = interaction.request
  const message = describe(interaction)
  switch (kind) {
    case "approval":
      return caller.canShowForms
        ? Option.some({ mode: "form", message, requestedSchema: { type: "object", properties: {} } })
        : Option.none()
    case "form":
      return caller.canShowForms
        ? Option.map(form(requestedSchema), (schema) => ({ mode: "form", message, requestedSchema: schema }))
        : Option.none()
    case "url":
      return caller.canOpenUrls && url !== undefined && URL.canParse(url)
        ? Option.some({ mode: "url", message, url, elicitationId: interaction.id })
        : Option.none()
  }
}
