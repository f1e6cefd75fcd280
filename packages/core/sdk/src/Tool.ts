/**
 * Tools and sources as the catalog shows them, and the errors of calling one.
 */
import { Schema } from "effect"
import { ToolId } from "./Ids.ts"

/** A JSON Schema (2020-12, or an older draft): an object, or `true`/`false`. */
export const JsonSchema = Schema.Union([Schema.Record(Schema.String, Schema.Unknown), Schema.Boolean])
export type JsonSchema = typeof JsonSchema.Type

/** What a tool says about its own effects. Hints come from its source, and are as trustworthy as that is. */
export const ToolAnnotations = Schema.Struct({
  /** Changes nothing. */
  readOnly: Schema.optionalKey(Schema.Boolean),
  /** May delete or overwrite. */
  destructive: Schema.optionalKey(Schema.Boolean),
  /** Calling twice with the same arguments changes no more than calling once. */
  idempotent: Schema.optionalKey(Schema.Boolean),
  /** Passes the idempotency key on, so that a repeated call is recognised. */
  acceptsIdempotencyKey: Schema.optionalKey(Schema.Boolean)
})
export type ToolAnnotations = typeof ToolAnnotations.Type

/** A named operation. */
export class Tool extends Schema.Class<Tool>("Tool")({
  id: ToolId,
  /** `namespace.group.operation`. */
  path: Schema.String,
  namespace: Schema.String,
  /** The last segment of the path, or the title its source gives it. */
  name: Schema.String,
  /** At most 4,096 characters in lists and searches, the last of them `…` where it is cut; a `ToolSchema` has it whole. */
  description: Schema.String,
  requiresApproval: Schema.Boolean,
  annotations: ToolAnnotations
}) {}

/** What a caller must know to call a tool. */
export class ToolSchema extends Schema.Class<ToolSchema>("ToolSchema")({
  path: Schema.String,
  description: Schema.String,
  inputSchema: JsonSchema,
  outputSchema: Schema.optionalKey(JsonSchema),
  /** The call as TypeScript, for people and models. */
  signature: Schema.String,
  requiresApproval: Schema.Boolean,
  annotations: ToolAnnotations
}) {}

/** A tool that a source names and that cannot be offered. */
export const OmittedTool = Schema.Struct({
  /** As the source calls it, or its place in the list if it has no name. */
  name: Schema.String,
  /** Why it cannot be offered. */
  reason: Schema.String
})
export type OmittedTool = typeof OmittedTool.Type

/** What provides the tools under one namespace. */
export class Source extends Schema.Class<Source>("Source")({
  namespace: Schema.String,
  /** The plugin that knows it. */
  pluginId: Schema.String,
  /** `static` sources live in the host's code and cannot be removed; `dynamic` ones are rows. */
  kind: Schema.Literals(["static", "dynamic"]),
  description: Schema.String,
  toolCount: Schema.Int,
  /** Tools that were left out when they were learned just now: known right after adding and refreshing only. Absent if there are none. */
  omitted: Schema.optionalKey(Schema.Array(OmittedTool)),
  /** What the source offers beside tools, and nobody gets, in a sentence each. Known like `omitted`. */
  notes: Schema.optionalKey(Schema.Array(Schema.String))
}) {}

/** No tool has this path. `suggestions` are paths that look like it. */
export class ToolNotFound extends Schema.TaggedError<ToolNotFound>()("ToolNotFound", {
  message: Schema.String,
  path: Schema.String,
  suggestions: Schema.Array(Schema.String)
}) {}

/** The arguments do not fit the tool's schema. Nothing ran. */
export class ToolInputInvalid extends Schema.TaggedError<ToolInputInvalid>()("ToolInputInvalid", {
  /** Names the tool, each field that is wrong and what was expected there. */
  message: Schema.String,
  path: Schema.String,
  issues: Schema.Array(Schema.Struct({ field: Schema.String, message: Schema.String }))
}) {}

/** The call had no effect, or the tool itself says that it failed. */
export class ToolFailed extends Schema.TaggedError<ToolFailed>()("ToolFailed", {
  /** What the tool said. */
  message: Schema.String,
  path: Schema.String,
  /** The error code of the tool's protocol, such as -32602 of JSON-RPC. */
  code: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.String])),
  /** JSON the tool gave with its failure. */
  data: Schema.optionalKey(Schema.Unknown)
}) {}

/**
 * The call was sent, and no answer came that can be read: it may have had its effect. A plugin fails with this wherever it does not know
 * that the call had none: after a timeout, a broken connection, the end of a server, an answer that makes no sense.
 */
export class OutcomeUnknown extends Schema.TaggedError<OutcomeUnknown>()("OutcomeUnknown", {
  /** How far the call came, and what went wrong then. */
  message: Schema.String,
  path: Schema.String
}) {}

/** A source cannot be reached: it did not start, or it ended before the call was sent. The call had no effect. The next call tries anew. */
export class SourceUnavailable extends Schema.TaggedError<SourceUnavailable>()("SourceUnavailable", {
  message: Schema.String,
  namespace: Schema.String
}) {}

/** No source has this namespace in the executor's scopes. */
export class SourceNotFound extends Schema.TaggedError<SourceNotFound>()("SourceNotFound", {
  message: Schema.String,
  namespace: Schema.String
}) {}

/** A source cannot be added as described: a bad namespace, one that is taken, or a configuration its plugin refuses. */
export class SourceInvalid extends Schema.TaggedError<SourceInvalid>()("SourceInvalid", {
  message: Schema.String,
  namespace: Schema.String
}) {}

/** How the run of a tool fails. */
export type ToolError = ToolFailed | OutcomeUnknown | SourceUnavailable
