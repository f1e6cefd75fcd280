/**
 * The sources of the host's own code, checked once when the executor is made.
 */
import { Effect } from "effect"
import { ExecutorInvalid } from "../Executor.ts"
import { ToolId } from "../Ids.ts"
import type { Plugin, StaticSource, StaticTool } from "../Plugin.ts"
import { Source, Tool, ToolAnnotations } from "../Tool.ts"
import { type CatalogTool, runHandler } from "./toolCall.ts"
import { staticToolInput, staticToolOutput } from "./toolInput.ts"
import { namespaceProblem, toolNameProblem } from "../ToolPath.ts"

/** Static sources by namespace, and their tools by path. */
export interface StaticSources {
  readonly sources: ReadonlyMap<string, Source>
  readonly tools: ReadonlyMap<string, CatalogTool>
}

/** Checks and indexes the static sources of all plugins. */
export const collectStaticSources = Effect.fnUntraced(function* (
  plugins: ReadonlyArray<Plugin>
): Effect.fn.Return<StaticSources, ExecutorInvalid> {
  const ids = new Set<string>()
  const sources = new Map<string, Source>()
  const tools = new Map<string, CatalogTool>()
  for (const plugin of plugins) {
    if (plugin.id === "") return yield* new ExecutorInvalid({ message: "a plugin has an empty id" })
    if (ids.has(plugin.id)) return yield* invalid(plugin.id, "is given twice")
    ids.add(plugin.id)
    for (const source of plugin.staticSources ?? []) {
      const problem = namespaceProblem(source.namespace)
      if (problem !== undefined) return yield* invalid(plugin.id, problem)
      if (sources.has(source.namespace)) {
        return yield* invalid(plugin.id, `the namespace "${source.namespace}" is taken by another static source`)
      }
      sources.set(source.namespace, describeSource(plugin.id, source))
      for (const definition of source.tools) {
        const entry = yield* compileTool(plugin.id, source.namespace, definition)
        if (tools.has(entry.tool.path)) return yield* invalid(plugin.id, `the tool ${entry.tool.path} is given twice`)
        tools.set(entry.tool.path, entry)
      }
    }
  }
  return { sources, tools }
})

const describeSource = (pluginId: string, source: StaticSource): Source =>
  new Source({
    namespace: source.namespace,
    pluginId,
    kind: "static",
    description: source.description ?? "",
    toolCount: source.tools.length
  })

const compileTool = (
  pluginId: string,
  namespace: string,
  definition: StaticTool
): Effect.Effect<CatalogTool, ExecutorInvalid> =>
  Effect.suspend(() => {
    const problem = toolNameProblem(namespace, definition.name)
    if (problem !== undefined) return invalid(pluginId, problem)
    const path = `${namespace}.${definition.name}`
    try {
      const input = staticToolInput(definition.input)
      const { name, description, requiresApproval = false, annotations = {}, handler } = definition
      return Effect.succeed({
        tool: new Tool({
          id: ToolId.make(path),
          path,
          namespace,
          name: name.slice(name.lastIndexOf(".") + 1),
          description,
          requiresApproval,
          annotations: ToolAnnotations.make(annotations)
        }),
        inputSchema: input.jsonSchema,
        outputSchema: staticToolOutput(definition.output),
        validate: input.validate,
        run: (args, context) => runHandler(path, handler, args, context)
      } satisfies CatalogTool)
    } catch (error) {
      return invalid(pluginId, `the tool ${path} cannot be used: ${(error as Error).message}`)
    }
  })

const invalid = (pluginId: string, message: string): Effect.Effect<never, ExecutorInvalid> =>
  Effect.fail(new ExecutorInvalid({ message: `plugin "${pluginId}": ${message}` }))
