/**
 * The plugin contract: how tools come into the catalog.
 *
 * A plugin brings static sources (functions of the host's own code), or knows how to open a kind of dynamic source (an MCP
 * server, an OpenAPI document) from a stored configuration, or both. Write one with `definePlugin`.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec"
import type { Effect, Schema, Scope } from "effect"
import type { ElicitationRequest, ElicitationResponse } from "./Elicitation.ts"
import type { JsonSchema, SourceUnavailable, ToolAnnotations, ToolFailed } from "./Tool.ts"

/** What a tool is told beside its arguments. */
export interface ToolContext {
  /** The full path it was called by. */
  readonly path: string
  /**
   * `executionId:seq` for a call by an execution: the same for each attempt of the same call. A tool that can pass it on
   * to the outside world makes its writes happen once.
   */
  readonly idempotencyKey?: string | undefined
  /** Asks a person. The answer may take a month; `cancel` comes back where nobody can be asked. */
  readonly elicit: (request: ElicitationRequest) => Effect.Effect<ElicitationResponse>
}

/** A function as a tool. */
export interface StaticTool {
  /** The path below the namespace: `create`, or `issues.create`. */
  readonly name: string
  readonly description: string
  /** A JSON Schema, or a Standard Schema that can give one. No input is wanted if absent. */
  readonly input?: JsonSchema | StandardSchemaV1 | undefined
  readonly output?: JsonSchema | undefined
  /** Asks the elicitation handler before it runs. */
  readonly requiresApproval?: boolean | undefined
  readonly annotations?: ToolAnnotations | undefined
  /** Gets the validated input. It returns a value, a promise or an effect; what it throws or fails with is the tool's failure. */
  readonly handler: (input: never, context: ToolContext) => unknown
}

/** A source of the host's own code. */
export interface StaticSource {
  /** The first segment of its tools' paths: a letter, then letters, digits, `_` or `-`. */
  readonly namespace: string
  readonly description?: string | undefined
  readonly tools: ReadonlyArray<StaticTool>
}

/** A tool as an opened source describes it. */
export interface ToolDefinition {
  /** The path below the namespace. */
  readonly name: string
  readonly title?: string | undefined
  readonly description: string
  readonly inputSchema: JsonSchema
  readonly outputSchema?: JsonSchema | undefined
  readonly requiresApproval: boolean
  readonly annotations: ToolAnnotations
  /** How the source knows it, where that is not the name. Handed back on a call. */
  readonly binding?: string | undefined
}

/** An opened source. It lives in a scope, and is opened again on the next use after it said {@link SourceUnavailable}. */
export interface SourceConnection {
  readonly listTools: Effect.Effect<ReadonlyArray<ToolDefinition>, SourceUnavailable>
  readonly invoke: (
    tool: { readonly name: string; readonly binding?: string | undefined },
    args: unknown,
    context: ToolContext
  ) => Effect.Effect<unknown, ToolFailed | SourceUnavailable>
}

/** A kind of source that is configured at run time. */
export interface SourceKind<Config> {
  /** What is stored for each source. No secret may be in it: only the names of secrets. */
  readonly config: Schema.Codec<Config, unknown>
  /** A line for people, from its configuration. */
  readonly describe: (config: Config) => string
  readonly open: (
    config: Config,
    options: { readonly namespace: string }
  ) => Effect.Effect<SourceConnection, SourceUnavailable, Scope.Scope>
}

/** A plugin. */
export interface Plugin {
  readonly id: string
  readonly staticSources?: ReadonlyArray<StaticSource> | undefined
  /** The kind of dynamic source it knows, stored under the plugin's id. */
  readonly source?: SourceKind<never> | undefined
}
