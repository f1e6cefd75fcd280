/**
 * Dynamic sources and their tools as rows of the tables `source` and `tool`.
 */
import { Clock, Effect, Option, Schema } from "effect"
import type { DBAdapter, DBError, Row, Where, WriteConflict, WriteOperation } from "../DBAdapter.ts"
import type { ScopeId } from "../Ids.ts"
import type { ToolDefinition } from "../Plugin.ts"
import { JsonSchema, ToolAnnotations } from "../Tool.ts"

/** A row of `source`. */
export interface SourceRow {
  readonly scopeId: string
  readonly namespace: string
  readonly pluginId: string
  /** As it was when it was written. Readers are shown what the configuration says now. */
  readonly description: string
  readonly createdAt: number
  /** Grows with every change of the source or its tools. */
  readonly updatedAt: number
  readonly configJson: string
}

/** A row of `tool`. */
export interface ToolRow {
  readonly path: string
  readonly namespace: string
  /** Below the namespace. */
  readonly definition: ToolDefinition
}

/** Reads and writes the rows of the scopes of one executor. */
export interface SourceRows {
  /** The sources of all scopes; outer ones that are shadowed included. */
  readonly sources: Effect.Effect<ReadonlyArray<SourceRow>, DBError>
  readonly tools: (source: SourceRow) => Effect.Effect<ReadonlyArray<ToolRow>, DBError>
  /** Writes a new source and its tools, or those of one that is there; a conflict means that somebody else changed it. */
  readonly save: (
    source: Omit<SourceRow, "createdAt" | "updatedAt">,
    tools: ReadonlyArray<ToolDefinition>,
    previous: SourceRow | undefined
  ) => Effect.Effect<SourceRow, DBError | WriteConflict>
  readonly remove: (source: SourceRow) => Effect.Effect<void, DBError | WriteConflict>
}

const decodeAnnotations = Schema.decodeUnknownOption(Schema.fromJsonString(ToolAnnotations))
const decodeSchema = Schema.decodeUnknownOption(Schema.fromJsonString(JsonSchema))

/** Makes the rows over an adapter. */
export const makeSourceRows = (adapter: DBAdapter["Service"], scopes: ReadonlyArray<ScopeId>): SourceRows => ({
  sources: Effect.map(
    adapter.find({
      table: "source",
      where: { op: "in", column: "scope_id", values: scopes },
      orderBy: [{ column: "namespace", direction: "asc" }]
    }),
    (rows) => rows.map(sourceRow)
  ),

  tools: (source) =>
    Effect.map(
      adapter.find({
        table: "tool",
        where: ofSource(source),
        orderBy: [{ column: "path", direction: "asc" }]
      }),
      (rows) => rows.map(toolRow)
    ),

  save: Effect.fnUntraced(function* (source, tools, previous) {
    const now = yield* Clock.currentTimeMillis
    const updatedAt = previous === undefined ? now : Math.max(now, previous.updatedAt + 1)
    const row = { ...source, createdAt: previous?.createdAt ?? now, updatedAt }
    const columns = {
      plugin_id: row.pluginId,
      description: row.description,
      updated_at: row.updatedAt,
      config_json: row.configJson
    }
    const head: ReadonlyArray<WriteOperation> =
      previous === undefined
        ? [
            {
              op: "insert",
              table: "source",
              rows: [{ scope_id: row.scopeId, namespace: row.namespace, created_at: row.createdAt, ...columns }]
            }
          ]
        : [{ op: "update", table: "source", where: unchanged(previous), set: columns, expect: 1 }]
    const body: ReadonlyArray<WriteOperation> = [
      { op: "delete", table: "tool", where: ofSource(row) },
      ...(tools.length === 0
        ? []
        : [{ op: "insert", table: "tool", rows: tools.map((tool) => toolColumns(row, tool)) } as const])
    ]
    yield* adapter.write([...head, ...body])
    return row
  }),

  remove: (source) =>
    Effect.asVoid(
      adapter.write([
        { op: "delete", table: "source", where: unchanged(source), expect: 1 },
        { op: "delete", table: "tool", where: ofSource(source) }
      ])
    )
})

const ofSource = (source: { readonly scopeId: string; readonly namespace: string }): Where => ({
  op: "and",
  conditions: [
    { op: "eq", column: "scope_id", value: source.scopeId },
    { op: "eq", column: "namespace", value: source.namespace }
  ]
})

const unchanged = (source: SourceRow): Where => ({
  op: "and",
  conditions: [ofSource(source), { op: "eq", column: "updated_at", value: source.updatedAt }]
})

const sourceRow = (row: Row): SourceRow => ({
  scopeId: String(row["scope_id"]),
  namespace: String(row["namespace"]),
  pluginId: String(row["plugin_id"]),
  description: String(row["description"]),
  createdAt: Number(row["created_at"]),
  updatedAt: Number(row["updated_at"]),
  configJson: String(row["config_json"])
})

/** A row that cannot be read (written by a newer version) gives the strictest tool there is. */
const toolRow = (row: Row): ToolRow => {
  const path = String(row["path"])
  const namespace = String(row["namespace"])
  const output = row["output_schema_json"]
  return {
    path,
    namespace,
    definition: {
      name: path.slice(namespace.length + 1),
      title: optionalText(row["title"]),
      description: String(row["description"]),
      inputSchema: Option.getOrElse(decodeSchema(row["input_schema_json"]), () => false),
      outputSchema: typeof output === "string" ? Option.getOrUndefined(decodeSchema(output)) : undefined,
      requiresApproval: row["requires_approval"] !== false,
      annotations: Option.getOrElse(decodeAnnotations(row["annotations_json"]), () => ({})),
      binding: optionalText(row["binding"])
    }
  }
}

const optionalText = (value: Row[string] | undefined): string | undefined =>
  typeof value === "string" ? value : undefined

/** Whether tools would be stored as others are, whatever their order. */
export const areStoredAlike = (a: ReadonlyArray<ToolDefinition>, b: ReadonlyArray<ToolDefinition>): boolean => {
  if (a.length !== b.length) return false
  const stored = new Map(b.map((tool) => [tool.name, tool]))
  return a.every((tool) => {
    const other = stored.get(tool.name)
    return other !== undefined && JSON.stringify(ownColumns(tool)) === JSON.stringify(ownColumns(other))
  })
}

const toolColumns = (source: SourceRow, tool: ToolDefinition): Row => ({
  scope_id: source.scopeId,
  path: `${source.namespace}.${tool.name}`,
  namespace: source.namespace,
  updated_at: source.updatedAt,
  ...ownColumns(tool)
})

/** The columns that say how a tool is. */
const ownColumns = (tool: ToolDefinition): Row => ({
  name: tool.name,
  title: tool.title ?? null,
  binding: tool.binding ?? null,
  requires_approval: tool.requiresApproval,
  annotations_json: JSON.stringify(tool.annotations),
  description: tool.description,
  input_schema_json: JSON.stringify(tool.inputSchema),
  output_schema_json: tool.outputSchema === undefined ? null : JSON.stringify(tool.outputSchema)
})
