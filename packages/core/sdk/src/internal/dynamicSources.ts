/**
 * The dynamic sources of an executor, as far as memory goes: their rows, the tools learned from them, and calls.
 *
 * What is known is kept per source and compared with the source's row: `read` asks the database for the (few) source rows
 * and loads the tools of those that changed. `readRecent` is content with rows that are at most
 * {@link catalogMaxAgeMillis} old.
 */
import { Clock, Effect, Semaphore } from "effect"
import type { DBError } from "../DBAdapter.ts"
import { catalogMaxAgeMillis } from "../Executor.ts"
import { type ScopeId, ToolId } from "../Ids.ts"
import type { ConfiguredSource, Plugin, ToolContext, ToolDefinition } from "../Plugin.ts"
import { OutcomeUnknown, Source, SourceUnavailable, Tool, type ToolError, ToolFailed } from "../Tool.ts"
import type { Connections, Open } from "./connections.ts"
import type { SourceRow, SourceRows, ToolRow } from "./sourceRows.ts"
import { cleanText, maxDescriptionLength } from "./text.ts"
import { type CatalogTool, maxErrorMessageLength } from "./toolCall.ts"
import { dynamicToolValidate } from "./toolInput.ts"

/** A dynamic source with its tools. */
export interface DynamicSource {
  readonly row: SourceRow
  readonly source: Source
  readonly tools: ReadonlyMap<string, CatalogTool>
  /** The tools as they are stored. */
  readonly definitions: ReadonlyArray<ToolDefinition>
}

/** All that is visible, inner scopes shadowing outer ones, by namespace. A new object whenever something changed. */
export type DynamicCatalog = ReadonlyMap<string, DynamicSource>

/** The dynamic sources of one executor. */
export interface DynamicSources {
  /** The present state. */
  readonly read: Effect.Effect<DynamicCatalog, DBError>
  /** A state at most {@link catalogMaxAgeMillis} old; an older one when the database cannot be read. */
  readonly readRecent: Effect.Effect<DynamicCatalog, DBError>
  /** The configuration of a source, accepted by its plugin. */
  readonly configured: (row: SourceRow) => Effect.Effect<ConfiguredSource, SourceUnavailable>
  /** How a source is opened. */
  readonly opening: (source: ConfiguredSource, namespace: string) => Open
}

/** A key that changes with the configuration, so that a connection never outlives it. */
export const connectionKey = (row: {
  readonly scopeId: string
  readonly namespace: string
  readonly configJson: string
}) => JSON.stringify([row.scopeId, row.namespace, row.configJson])

/** Makes the dynamic sources of an executor. */
export const makeDynamicSources = (options: {
  readonly scopes: ReadonlyArray<ScopeId>
  readonly rows: SourceRows
  readonly plugins: ReadonlyMap<string, Plugin>
  readonly connections: Connections
  readonly onToolsChanged: (namespace: string) => void
}): DynamicSources => {
  let catalog: DynamicCatalog = new Map()
  let readAt: number | undefined
  const reading = Semaphore.makeUnsafe(1)

  const configured: DynamicSources["configured"] = (row) =>
    Effect.suspend(() => {
      const { namespace, pluginId } = row
      const kind = options.plugins.get(pluginId)?.source
      if (kind === undefined) {
        return new SourceUnavailable({
          namespace,
          message: `${namespace} needs the plugin "${pluginId}", which this executor was made without`
        })
      }
      return Effect.mapError(
        Effect.flatMap(
          Effect.try({ try: (): unknown => JSON.parse(row.configJson), catch: (error) => error as Error }),
          kind.configure
        ),
        (error) =>
          new SourceUnavailable({
            namespace,
            message: `${namespace} is stored with a configuration that the plugin "${pluginId}" refuses: ${error.message}`
          })
      )
    })

  const opening: DynamicSources["opening"] = (source, namespace) =>
    source.open({ namespace, onToolsChanged: () => options.onToolsChanged(namespace) })

  /** Calls tools of a source. Its key and how it is opened are the same for all calls. */
  const callerOf = (row: SourceRow) => {
    const key = connectionKey(row)
    const open = Effect.flatMap(configured(row), (source) => opening(source, row.namespace))
    return (tool: ToolRow, args: unknown, context: ToolContext): Effect.Effect<unknown, ToolError> =>
      Effect.mapError(
        options.connections.use<unknown, ToolError>(key, row.namespace, open, (connection) =>
          connection.invoke({ name: tool.definition.name, binding: tool.definition.binding }, args, context)
        ),
        cleanError
      )
  }

  const load = Effect.fnUntraced(function* (row: SourceRow): Effect.fn.Return<DynamicSource, DBError> {
    const toolRows = yield* options.rows.tools(row)
    const call = callerOf(row)
    // A description that an older build has stored may show a key. So the description comes from the configuration each time.
    const description = yield* configured(row).pipe(
      Effect.map((source) => cleanText(source.description, maxDescriptionLength)),
      Effect.orElseSucceed(() => "")
    )
    return {
      row,
      source: new Source({
        namespace: row.namespace,
        pluginId: row.pluginId,
        kind: "dynamic",
        description,
        toolCount: toolRows.length
      }),
      definitions: toolRows.map(({ definition }) => definition),
      tools: new Map(
        toolRows.map((tool): [string, CatalogTool] => [
          tool.path,
          {
            tool: describeTool(tool),
            inputSchema: tool.definition.inputSchema,
            outputSchema: tool.definition.outputSchema,
            validate: dynamicToolValidate(tool.definition.inputSchema),
            run: (args, context) => call(tool, args, context)
          }
        ])
      )
    }
  })

  const update = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const visible = shadow(yield* options.rows.sources, options.scopes)
    const changed =
      visible.length !== catalog.size || visible.some((row) => !isSame(catalog.get(row.namespace)?.row, row))
    if (changed) {
      const next = new Map<string, DynamicSource>()
      for (const row of visible) {
        const known = catalog.get(row.namespace)
        next.set(row.namespace, known !== undefined && isSame(known.row, row) ? known : yield* load(row))
      }
      yield* Effect.forEach(catalog.values(), ({ row }) => {
        const kept = next.get(row.namespace)
        return kept !== undefined && connectionKey(kept.row) === connectionKey(row)
          ? Effect.void
          : options.connections.discard(connectionKey(row))
      })
      catalog = next
    }
    readAt = now
    return catalog
  })

  const read = reading.withPermits(1)(update)

  const fresh = (now: number) => readAt !== undefined && now - readAt < catalogMaxAgeMillis && now >= readAt

  const readOld = Effect.gen(function* () {
    const reread = Effect.flatMap(Clock.currentTimeMillis, (now) => (fresh(now) ? Effect.succeed(catalog) : update))
    return yield* reading
      .withPermits(1)(reread)
      .pipe(
        Effect.catch((error) =>
          readAt === undefined
            ? Effect.fail(error)
            : Effect.as(
                Effect.logWarning("The sources cannot be read anew: calls use those known before.", error),
                catalog
              )
        )
      )
  })

  const readRecent = Effect.flatMap(Clock.currentTimeMillis, (now) => (fresh(now) ? Effect.succeed(catalog) : readOld))

  return { read, readRecent, configured, opening }
}

const cleanError = (error: ToolError): ToolError => {
  if (error._tag === "SourceUnavailable") return cleanUnavailable(error)
  const message = cleanText(error.message, maxErrorMessageLength)
  return error._tag === "ToolFailed" ? new ToolFailed({ ...error, message }) : new OutcomeUnknown({ ...error, message })
}

/** A source's own words may be in the message, which ends up in terminals and in front of models. */
export const cleanUnavailable = (error: SourceUnavailable): SourceUnavailable =>
  new SourceUnavailable({ namespace: error.namespace, message: cleanText(error.message, maxErrorMessageLength) })

/** The innermost row of each namespace. */
const shadow = (rows: ReadonlyArray<SourceRow>, scopes: ReadonlyArray<ScopeId>): ReadonlyArray<SourceRow> => {
  const visible = new Map<string, SourceRow>()
  for (const scope of scopes) {
    for (const row of rows) {
      if (row.scopeId === scope && !visible.has(row.namespace)) visible.set(row.namespace, row)
    }
  }
  return [...visible.values()]
}

const isSame = (a: SourceRow | undefined, b: SourceRow): boolean =>
  a !== undefined &&
  a.scopeId === b.scopeId &&
  a.pluginId === b.pluginId &&
  a.createdAt === b.createdAt &&
  a.updatedAt === b.updatedAt &&
  a.configJson === b.configJson

const describeTool = ({ path, namespace, definition }: ToolRow): Tool =>
  new Tool({
    id: ToolId.make(path),
    path,
    namespace,
    name: definition.title ?? path.slice(path.lastIndexOf(".") + 1),
    description: definition.description,
    requiresApproval: definition.requiresApproval,
    annotations: definition.annotations
  })
