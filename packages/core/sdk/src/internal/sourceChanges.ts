/**
 * Adding, refreshing and removing dynamic sources.
 */
import { Effect } from "effect"
import type { DBError } from "../DBAdapter.ts"
import type { ScopeId } from "../Ids.ts"
import type { ConfiguredSource, Plugin, ToolDefinition, ToolList } from "../Plugin.ts"
import {
  type JsonSchema,
  type OmittedTool,
  Source,
  SourceInvalid,
  SourceNotFound,
  type SourceUnavailable
} from "../Tool.ts"
import { type Connections, type Open } from "./connections.ts"
import { cleanUnavailable, connectionKey, type DynamicSource, type DynamicSources } from "./dynamicSources.ts"
import { copyJson } from "./json.ts"
import { areStoredAlike, type SourceRows } from "./sourceRows.ts"
import {
  cleanSchema,
  cleanText,
  maxDescriptionLength,
  maxListedDescriptionLength,
  maxSchemaLength,
  maxTitleLength
} from "./text.ts"
import { namespaceProblem, toolNameProblem } from "../ToolPath.ts"

/** A source with more tools is refused: nobody finds anything among them, and its plugin can narrow what it offers. */
export const maxToolsPerSource = 10_000

/** Why a tool was left out is said in a few words. */
const maxReasonLength = 500

/** The methods of `executor.sources` that change something. */
export const makeSourceChanges = (options: {
  readonly scope: ScopeId
  readonly rows: SourceRows
  readonly plugins: ReadonlyMap<string, Plugin>
  readonly isStatic: (namespace: string) => boolean
  readonly connections: Connections
  readonly dynamic: DynamicSources
}) => {
  const { connections, dynamic, rows, scope } = options

  const learn = (
    row: { readonly scopeId: string; readonly namespace: string; readonly configJson: string },
    open: Open
  ): Effect.Effect<CheckedTools, SourceInvalid | SourceUnavailable> =>
    connections
      .use<ToolList, never>(connectionKey(row), row.namespace, open, (each) => each.listTools)
      .pipe(
        Effect.mapError(cleanUnavailable),
        Effect.flatMap((list) => checkTools(row.namespace, list))
      )

  const saved = (namespace: string, { notes, omitted }: CheckedTools): Effect.Effect<Source, DBError | SourceInvalid> =>
    Effect.flatMap(dynamic.read, (catalog) => {
      const found = catalog.get(namespace)
      if (found === undefined) return changedMeanwhile(namespace)
      return Effect.succeed(
        new Source({
          ...found.source,
          ...(omitted.length > 0 && { omitted }),
          ...(notes.length > 0 && { notes })
        })
      )
    })

  /** The source of this namespace if it may be changed here: a row of the innermost scope. */
  const own = Effect.fnUntraced(function* (
    namespace: string
  ): Effect.fn.Return<DynamicSource, DBError | SourceNotFound | SourceInvalid> {
    if (options.isStatic(namespace)) {
      return yield* new SourceInvalid({
        namespace,
        message: `${namespace} is a static source: it comes with the host's own code and cannot be changed here`
      })
    }
    const found = (yield* dynamic.read).get(namespace)
    if (found === undefined) {
      return yield* new SourceNotFound({ namespace, message: `there is no source with the namespace ${namespace}` })
    }
    if (found.row.scopeId !== scope) {
      return yield* new SourceInvalid({
        namespace,
        message: `${namespace} belongs to the outer scope ${found.row.scopeId}: change it with an executor of that scope`
      })
    }
    return found
  })

  const add = Effect.fn("Executor.sources.add")(function* (input: {
    readonly namespace: string
    readonly pluginId: string
    readonly config: unknown
  }): Effect.fn.Return<Source, DBError | SourceInvalid | SourceUnavailable> {
    const { namespace, pluginId } = input
    const problem = namespaceProblem(namespace)
    if (problem !== undefined) return yield* new SourceInvalid({ namespace, message: problem })
    if (options.isStatic(namespace) || (yield* dynamic.read).get(namespace)?.row.scopeId === scope) {
      return yield* taken(namespace)
    }
    const configured = yield* configure(options.plugins, input)
    const row = {
      scopeId: scope,
      namespace,
      pluginId,
      description: cleanText(configured.description, maxListedDescriptionLength),
      configJson: JSON.stringify(configured.encoded)
    }
    const learned = yield* learn(row, dynamic.opening(configured, namespace)).pipe(
      Effect.tapError(() => connections.discard(connectionKey(row)))
    )
    yield* rows.save(row, learned.tools, undefined).pipe(
      Effect.catchTag("WriteConflict", () => changedMeanwhile(namespace)),
      Effect.mapError((error) => (error._tag === "DBError" && error.reason === "unique" ? taken(namespace) : error)),
      Effect.tapError(() => connections.discard(connectionKey(row)))
    )
    return yield* saved(namespace, learned)
  })

  const refresh = Effect.fn("Executor.sources.refresh")(function* (
    namespace: string
  ): Effect.fn.Return<Source, DBError | SourceNotFound | SourceInvalid | SourceUnavailable> {
    const { definitions, row } = yield* own(namespace)
    const configured = yield* dynamic.configured(row)
    const learned = yield* learn(row, dynamic.opening(configured, namespace))
    const description = cleanText(configured.description, maxListedDescriptionLength)
    if (description !== row.description || !areStoredAlike(learned.tools, definitions))
      yield* Effect.catchTag(rows.save({ ...row, description }, learned.tools, row), "WriteConflict", () =>
        changedMeanwhile(namespace)
      )
    return yield* saved(namespace, learned)
  })

  const remove = Effect.fn("Executor.sources.remove")(function* (
    namespace: string
  ): Effect.fn.Return<void, DBError | SourceNotFound | SourceInvalid> {
    const { row } = yield* own(namespace)
    yield* Effect.catchTag(rows.remove(row), "WriteConflict", () => changedMeanwhile(namespace))
    yield* dynamic.read
  })

  return { add, refresh, remove }
}

const configure = (
  plugins: ReadonlyMap<string, Plugin>,
  input: { readonly namespace: string; readonly pluginId: string; readonly config: unknown }
): Effect.Effect<ConfiguredSource, SourceInvalid> => {
  const { namespace, pluginId } = input
  const kind = plugins.get(pluginId)?.source
  if (kind === undefined) {
    const known = [...plugins.values()].filter((plugin) => plugin.source !== undefined).map((plugin) => plugin.id)
    return new SourceInvalid({
      namespace,
      message: `no plugin "${pluginId}" can open sources; ${known.length === 0 ? "no plugin here can" : `these can: ${known.join(", ")}`}`
    })
  }
  return Effect.mapError(
    kind.configure(input.config),
    (error) =>
      new SourceInvalid({ namespace, message: `the configuration of ${namespace} is not valid: ${error.message}` })
  )
}

const taken = (namespace: string) =>
  new SourceInvalid({
    namespace,
    message: `the namespace ${namespace} is taken: remove that source first, or choose another`
  })

const changedMeanwhile = (namespace: string) =>
  new SourceInvalid({ namespace, message: `${namespace} was changed by somebody else at the same time: try again` })

interface CheckedTools {
  readonly tools: ReadonlyArray<ToolDefinition>
  readonly omitted: ReadonlyArray<OmittedTool>
  readonly notes: ReadonlyArray<string>
}

/** Checks what a source says about its tools, and cleans its texts. A tool that cannot be stored is left out. */
const checkTools = (namespace: string, list: ToolList): Effect.Effect<CheckedTools, SourceInvalid> =>
  Effect.suspend(() => {
    if (list.tools.length > maxToolsPerSource) {
      return new SourceInvalid({
        namespace,
        message: `${namespace}: it has ${list.tools.length} tools, and at most ${maxToolsPerSource} are possible`
      })
    }
    const tools = new Map<string, ToolDefinition>()
    const omitted = [...(list.omitted ?? [])]
    for (const tool of list.tools) {
      const input = storableSchema(tool.inputSchema)
      const output = tool.outputSchema === undefined ? undefined : storableSchema(tool.outputSchema)
      const problem = tools.has(tool.name)
        ? "a tool before it has the same name"
        : (toolNameProblem(namespace, tool.name) ??
          (input === undefined
            ? `its input schema is no JSON, or longer than ${maxSchemaLength} characters`
            : undefined))
      if (problem !== undefined || input === undefined) {
        omitted.push({ name: tool.binding ?? tool.name, reason: problem ?? "" })
        continue
      }
      tools.set(tool.name, {
        ...tool,
        title: tool.title === undefined ? undefined : cleanText(tool.title, maxTitleLength) || undefined,
        description: cleanText(tool.description, maxDescriptionLength),
        inputSchema: input,
        outputSchema: output
      })
    }
    const notes = (list.notes ?? []).map((note) => cleanText(note, maxReasonLength))
    return Effect.succeed({ tools: [...tools.values()], omitted: omitted.map(cleanOmitted), notes })
  })

const cleanOmitted = ({ name, reason }: OmittedTool): OmittedTool => ({
  name: cleanText(name, maxTitleLength),
  reason: cleanText(reason, maxReasonLength)
})

/** A schema as it is stored. `undefined` if it is no JSON or too long: of a result nobody needs one, so that is left out. */
const storableSchema = (schema: JsonSchema): JsonSchema | undefined => {
  const copied = copyJson(schema)
  if (!copied.ok) return undefined
  const clean = cleanSchema(copied.value) as JsonSchema
  return JSON.stringify(clean).length > maxSchemaLength ? undefined : clean
}
