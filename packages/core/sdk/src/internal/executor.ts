/**
 * `createExecutor`: composes the catalog (static and dynamic sources), the search, the connections and the history.
 */
import { Effect, Exit, Scope } from "effect"
import * as DBExecutionStore from "../DBExecutionStore.ts"
import type { DBError } from "../DBAdapter.ts"
import { ListOptionsInvalid } from "../ExecutionStore.ts"
import {
  defaultSearchLimit,
  type Executor,
  ExecutorInvalid,
  type ExecutorOptions,
  type InvokeError,
  type InvokeOptions,
  maxSearchLimit
} from "../Executor.ts"
import { ScopeId } from "../Ids.ts"
import type { Plugin } from "../Plugin.ts"
import { Tool, ToolNotFound, ToolSchema } from "../Tool.ts"
import { makeConnections } from "./connections.ts"
import { type DynamicCatalog, makeDynamicSources } from "./dynamicSources.ts"
import { shorten } from "./json.ts"
import { printSignature } from "./printType.ts"
import { makeRelearning } from "./relearning.ts"
import { makeSourceChanges } from "./sourceChanges.ts"
import { makeSourceRows } from "./sourceRows.ts"
import { collectStaticSources, type StaticSources } from "./staticSources.ts"
import { maxListedDescriptionLength } from "./text.ts"
import { type CatalogTool, callTool } from "./toolCall.ts"
import { makeToolIndex, type ToolIndex } from "./toolSearch.ts"

/** Makes an executor. Its dynamic sources are closed with the scope, or by `close`. */
export const createExecutor = Effect.fn("createExecutor")(function* (
  options: ExecutorOptions
): Effect.fn.Return<Executor, ExecutorInvalid, Scope.Scope> {
  const scopes = yield* checkScopes(options.scopes)
  const plugins = new Map<string, Plugin>((options.plugins ?? []).map((plugin) => [plugin.id, plugin]))
  const statics = yield* collectStaticSources(options.plugins ?? [])

  const scope = yield* Scope.fork(yield* Effect.scope, "sequential")
  const connections = yield* Scope.provide(makeConnections, scope)
  const rows = makeSourceRows(options.adapter, scopes)
  const relearning = yield* Scope.provide(
    makeRelearning((namespace) => changes.refresh(namespace)),
    scope
  )
  const dynamic = makeDynamicSources({ scopes, rows, plugins, connections, onToolsChanged: relearning.changed })
  const changes = makeSourceChanges({
    scope: scopes[0],
    rows,
    plugins,
    isStatic: (namespace) => statics.sources.has(namespace),
    connections,
    dynamic
  })
  const index = makeIndexCache(statics)

  const find = (
    path: string,
    catalog: Effect.Effect<DynamicCatalog, DBError>
  ): Effect.Effect<CatalogTool | undefined, DBError> => {
    const found = statics.tools.get(path)
    if (found !== undefined) return Effect.succeed(found)
    const namespace = namespaceOf(path)
    if (statics.sources.has(namespace)) return Effect.undefined
    return Effect.map(catalog, (sources) => sources.get(namespace)?.tools.get(path))
  }

  /** The rows may have changed since they were read: a path is unknown only after a look at the present ones. */
  const invokeDynamic = (
    path: string,
    args: unknown,
    invokeOptions: InvokeOptions
  ): Effect.Effect<unknown, InvokeError> =>
    Effect.flatMap(find(path, dynamic.readRecent), (recent) => {
      if (recent !== undefined) return callTool(recent, args, invokeOptions)
      return Effect.andThen(
        relearning.settled(namespaceOf(path)),
        Effect.flatMap(find(path, dynamic.read), (entry) =>
          entry === undefined ? notFound(path) : callTool(entry, args, invokeOptions)
        )
      )
    })

  const notFound = Effect.fnUntraced(function* (path: string): Effect.fn.Return<never, ToolNotFound> {
    const known = yield* dynamic.readRecent.pipe(Effect.catch(() => Effect.succeed<DynamicCatalog>(new Map())))
    const suggestions = (yield* index(known)).near(path)
    const near = suggestions.length === 0 ? [] : [`near it: ${suggestions.join(", ")}`]
    const hints = [...missingNamespace(path, statics, known), ...near]
    const hint = hints.length === 0 ? "search for it, or list the tools" : hints.join("; ")
    return yield* new ToolNotFound({ path, suggestions, message: `there is no tool ${JSON.stringify(path)}; ${hint}` })
  })

  return {
    scopes,
    sources: {
      list: Effect.fn("Executor.sources.list")(function* ({ query = "", limit } = {}) {
        yield* checkLimit(limit)
        const text = query.trim().toLowerCase()
        return [...statics.sources.values(), ...visible(statics, yield* dynamic.read).map((each) => each.source)]
          .filter((source) => `${source.namespace}\n${source.description}`.toLowerCase().includes(text))
          .toSorted((a, b) => (a.namespace < b.namespace ? -1 : 1))
          .slice(0, limit)
      }),
      ...changes
    },
    tools: {
      list: Effect.fn("Executor.tools.list")(function* ({ namespace } = {}) {
        const tools = allTools(statics, yield* dynamic.read)
        return namespace === undefined ? tools : tools.filter((tool) => tool.namespace === namespace)
      }),
      schema: Effect.fn("Executor.tools.schema")(function* (path) {
        const entry = yield* find(path, dynamic.read)
        if (entry === undefined) return yield* notFound(path)
        const { tool, inputSchema, outputSchema } = entry
        return new ToolSchema({
          path,
          description: tool.description,
          inputSchema,
          ...(outputSchema === undefined ? {} : { outputSchema }),
          signature: printSignature(path, inputSchema, outputSchema),
          requiresApproval: tool.requiresApproval,
          annotations: tool.annotations
        })
      }),
      search: Effect.fn("Executor.tools.search")(function* ({ query, namespace, limit }) {
        yield* checkLimit(limit)
        return (yield* index(yield* dynamic.read)).search(query, { namespace, limit: limit ?? defaultSearchLimit })
      }),
      invoke: (path, args, invokeOptions = {}) => {
        const entry = statics.tools.get(path)
        return entry === undefined ? invokeDynamic(path, args, invokeOptions) : callTool(entry, args, invokeOptions)
      }
    },
    executions: DBExecutionStore.make(options.adapter),
    close: Scope.close(scope, Exit.void)
  }
})

const checkScopes = (
  scopes: ReadonlyArray<string>
): Effect.Effect<readonly [ScopeId, ...Array<ScopeId>], ExecutorInvalid> =>
  Effect.suspend(() => {
    const [first, ...rest] = scopes
    if (first === undefined) {
      return new ExecutorInvalid({ message: "scopes: at least one scope is wanted, the innermost first" })
    }
    if (scopes.some((scope) => typeof scope !== "string" || scope.trim() === "")) {
      return new ExecutorInvalid({ message: "scopes: a scope is a text that is not empty" })
    }
    if (new Set(scopes).size !== scopes.length) {
      return new ExecutorInvalid({ message: `scopes: each scope once, not ${scopes.join(", ")}` })
    }
    return Effect.succeed([ScopeId.make(first), ...rest.map((scope) => ScopeId.make(scope))] as const)
  })

const checkLimit = (limit: number | undefined): Effect.Effect<void, ListOptionsInvalid> =>
  limit === undefined || (Number.isInteger(limit) && limit >= 1 && limit <= maxSearchLimit)
    ? Effect.void
    : new ListOptionsInvalid({ option: "limit", message: `limit: expected 1 to ${maxSearchLimit}, got ${limit}` })

const namespaceOf = (path: string): string => path.split(".", 1)[0] ?? path

/** Dynamic sources that no static one shadows. */
const visible = (statics: StaticSources, catalog: DynamicCatalog) =>
  [...catalog.values()].filter((each) => !statics.sources.has(each.row.namespace))

/** Namespaces that an error names to a caller who used another. */
const maxNamedNamespaces = 20

/** What to say of a path whose first segment is no namespace. */
const missingNamespace = (path: string, statics: StaticSources, catalog: DynamicCatalog): ReadonlyArray<string> => {
  const namespaces = [...new Set([...statics.sources.keys(), ...catalog.keys()])].toSorted()
  const namespace = namespaceOf(path)
  if (namespaces.includes(namespace)) return []
  const named = namespaces.slice(0, maxNamedNamespaces).join(", ")
  const more = namespaces.length > maxNamedNamespaces ? ` and ${namespaces.length - maxNamedNamespaces} more` : ""
  return [
    `${JSON.stringify(namespace)} is no namespace; ${namespaces.length === 0 ? "there are no sources" : `these are: ${named}${more}`}`
  ]
}

/** A tool as lists and searches show it. The cut is seen by its last character; describing the tool shows the rest. */
const listed = (tool: Tool): Tool =>
  tool.description.length <= maxListedDescriptionLength
    ? tool
    : new Tool({ ...tool, description: shorten(tool.description, maxListedDescriptionLength) })

const allTools = (statics: StaticSources, catalog: DynamicCatalog): ReadonlyArray<Tool> =>
  [statics.tools, ...visible(statics, catalog).map((each) => each.tools)]
    .flatMap((tools) => [...tools.values()].map((entry) => listed(entry.tool)))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))

/** The search index of the newest catalog; a catalog is a new object whenever something in it changed. */
const makeIndexCache = (statics: StaticSources): ((catalog: DynamicCatalog) => Effect.Effect<ToolIndex>) => {
  let newest: { readonly catalog: DynamicCatalog; readonly index: Promise<ToolIndex> } | undefined
  return (catalog) =>
    Effect.promise(() => {
      if (newest?.catalog !== catalog) newest = { catalog, index: makeToolIndex(allTools(statics, catalog)) }
      return newest.index
    })
}
