/**
 * The plugin contract: how tools come into the catalog.
 *
 * A plugin brings static sources (functions of the host's own code), or knows how to open a kind of dynamic source (an MCP
 * server, an OpenAPI document) from a stored configuration, or both. Write one with {@link definePlugin}, and its functions
 * with {@link tool}, which infers the handler's input from the schema.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec"
import { Effect, Schema, type Scope } from "effect"
import type { ElicitationRequest, ElicitationResponse } from "./Elicitation.ts"
import type { JsonSchema, OmittedTool, SourceUnavailable, ToolAnnotations, ToolError } from "./Tool.ts"

/** What a tool is told beside its arguments. */
export interface ToolContext {
  /** The full path it was called by. */
  readonly path: string
  /**
   * `executionId:seq` for a call by an execution: the same for each attempt of the same call. A tool that can pass it on
   * to the outside world makes its writes happen once.
   */
  readonly idempotencyKey?: string | undefined
  /** Aborted when the call is interrupted. Effects are interrupted anyway; this is for promises. */
  readonly signal: AbortSignal
  /** Asks a person. The answer may take a month; `cancel` comes back where nobody can be asked. */
  readonly elicit: (request: ElicitationRequest) => Effect.Effect<ElicitationResponse>
}

/** A schema of a validation library: an effect Schema, or anything that speaks Standard Schema. */
export type ValidationSchema = StandardSchemaV1 | Schema.ConstraintDecoder<unknown>

/** What a handler gets after a {@link ValidationSchema} has validated (and maybe transformed) the arguments. */
export type ValidatedInput<S> =
  S extends Schema.ConstraintDecoder<infer A> ? A : S extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<S> : never

/** A function as a tool. */
export interface StaticTool {
  /** The path below the namespace: `create`, or `issues.create`. */
  readonly name: string
  readonly description: string
  /**
   * A JSON Schema, an effect Schema, or a Standard Schema that can give its JSON Schema (`~standard.jsonSchema`: zod 4.2,
   * valibot by `@valibot/to-json-schema`, arktype). An effect Schema decodes from JSON and refuses fields it does not know.
   * No input is wanted if absent.
   */
  readonly input?: JsonSchema | ValidationSchema | undefined
  /** What comes back, for the callers to read. The result is not checked against it. */
  readonly output?: JsonSchema | ValidationSchema | undefined
  /** Asks the elicitation handler before it runs. */
  readonly requiresApproval?: boolean | undefined
  readonly annotations?: ToolAnnotations | undefined
  /**
   * Gets the validated input. It returns a value, a promise or an effect. What it throws or fails with is the tool's failure: it says that the
   * call had no effect worth knowing. Where that is not known, it fails with `OutcomeUnknown`. Timeouts and broken connections count as
   * that by themselves.
   */
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

/** The tools of an opened source. */
export interface ToolList {
  readonly tools: ReadonlyArray<ToolDefinition>
  /** Those that the source names and that cannot be offered. They hide no other. */
  readonly omitted?: ReadonlyArray<OmittedTool> | undefined
  /** What else its user should know, in a sentence each: what it offers beside tools, and nobody gets. */
  readonly notes?: ReadonlyArray<string> | undefined
}

/** An opened source. It lives in a scope, and is opened again on the next use after it said {@link SourceUnavailable}, unless it recovers by itself. */
export interface SourceConnection {
  readonly listTools: Effect.Effect<ToolList, SourceUnavailable>
  /** Fails with `OutcomeUnknown` from the moment of sending on, unless the source itself says that the call failed. */
  readonly invoke: (
    tool: { readonly name: string; readonly binding?: string | undefined },
    args: unknown,
    context: ToolContext
  ) => Effect.Effect<unknown, ToolError>
  /** False once it can take no more calls: the next call then opens the source anew instead of failing. Always open if absent. */
  readonly isOpen?: (() => boolean) | undefined
  /** True if the connection replaces its broken parts by itself: then it is kept when a call says {@link SourceUnavailable}. */
  readonly recovers?: boolean | undefined
}

/** What a source is opened with. */
export interface OpenSourceOptions {
  readonly namespace: string
  /** To be called when the tools have changed while it is open: they are listed anew. */
  readonly onToolsChanged?: (() => void) | undefined
}

/** A kind of source that is configured at run time. */
export interface SourceKind<Config> {
  /** What is stored for each source. No secret may be in it: only the names of secrets. */
  readonly config: Schema.Codec<Config, unknown>
  /** A line for people, from its configuration. */
  readonly describe: (config: Config) => string
  readonly open: (
    config: Config,
    options: OpenSourceOptions
  ) => Effect.Effect<SourceConnection, SourceUnavailable, Scope.Scope>
}

/** A configuration that a {@link SourceKind} has accepted. */
export interface ConfiguredSource {
  /** What is stored. */
  readonly encoded: unknown
  readonly description: string
  readonly open: (options: OpenSourceOptions) => Effect.Effect<SourceConnection, SourceUnavailable, Scope.Scope>
}

/** A {@link SourceKind} whose configuration's type only it knows. */
export interface AnySourceKind {
  /** Accepts a configuration as given or as stored; fails with what is wrong with it. */
  readonly configure: (config: unknown) => Effect.Effect<ConfiguredSource, Schema.SchemaError>
}

/** A plugin. */
export interface Plugin {
  readonly id: string
  readonly staticSources?: ReadonlyArray<StaticSource> | undefined
  /** The kind of dynamic source it knows, stored under the plugin's id. */
  readonly source?: AnySourceKind | undefined
}

/** Makes a plugin of static sources, a kind of dynamic source, or both. */
export const definePlugin = <Config = never>(plugin: {
  /** Names the plugin; stored with the sources it opens, so it must not change. */
  readonly id: string
  readonly staticSources?: ReadonlyArray<StaticSource> | undefined
  readonly source?: SourceKind<Config> | undefined
}): Plugin => ({
  id: plugin.id,
  staticSources: plugin.staticSources,
  source: plugin.source === undefined ? undefined : anySourceKind(plugin.source)
})

const anySourceKind = <Config>(kind: SourceKind<Config>): AnySourceKind => {
  const decode = Schema.decodeUnknownEffect(kind.config, { onExcessProperty: "error", errors: "all" })
  const encode = Schema.encodeEffect(kind.config)
  return {
    configure: Effect.fnUntraced(function* (input: unknown) {
      const config = yield* decode(input)
      return {
        encoded: yield* encode(config),
        description: kind.describe(config),
        open: (options) => kind.open(config, options)
      } satisfies ConfiguredSource
    })
  }
}

/**
 * Makes a tool of a function. With an effect Schema or a Standard Schema the handler's input has the schema's type; with a
 * JSON Schema it has the type the handler declares.
 *
 * ```ts
 * tool({
 *   name: "issues.create",
 *   description: "Opens an issue.",
 *   input: Schema.Struct({ title: Schema.String }),
 *   handler: ({ title }) => createIssue(title)
 * })
 * ```
 */
export function tool<S extends ValidationSchema>(
  definition: Omit<StaticTool, "input" | "handler"> & {
    readonly input: S
    readonly handler: (input: ValidatedInput<S>, context: ToolContext) => unknown
  }
): StaticTool
export function tool<Input = unknown>(
  definition: Omit<StaticTool, "input" | "handler"> & {
    readonly input: JsonSchema
    readonly handler: (input: Input, context: ToolContext) => unknown
  }
): StaticTool
export function tool(
  definition: Omit<StaticTool, "input" | "handler"> & {
    readonly input?: undefined
    readonly handler: (input: Record<string, never>, context: ToolContext) => unknown
  }
): StaticTool
export function tool(definition: StaticTool): StaticTool {
  return definition
}
