/**
 * The tables of `coreSchema` as Drizzle tables, for drizzle-kit to generate migrations from.
 *
 * They are derived, so that there is one source of truth. `npm run generate` after a change of `coreSchema` writes the next migration.
 */
import { coreSchema, type ColumnType, type TableSchema } from "@executor/sdk"
import { foreignKey, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core"
import type { SQLiteColumnBuilderBase, SQLiteTableWithColumns, TableConfig } from "drizzle-orm/sqlite-core"

type DrizzleTable = SQLiteTableWithColumns<TableConfig>

const builderOf = (type: ColumnType) =>
  type === "text" ? text() : type === "integer" ? integer() : integer({ mode: "boolean" })

const tables = new Map<string, DrizzleTable>()

const columnsOf = (table: DrizzleTable, names: ReadonlyArray<string>) => {
  const [first, ...rest] = names.map((name) => table[name])
  if (first === undefined) throw new Error("An index or a key needs a column.")
  return [first, ...rest] as const
}

/** Tables are made in the order of the schema: one that is referenced comes first. */
const drizzleTable = (name: string, schema: TableSchema): DrizzleTable => {
  const [only, ...others] = schema.primaryKey
  const columns: Record<string, SQLiteColumnBuilderBase> = {}
  for (const [column, { nullable, type }] of Object.entries(schema.columns)) {
    const builder = builderOf(type)
    columns[column] =
      column === only && others.length === 0 ? builder.primaryKey() : nullable === true ? builder : builder.notNull()
  }
  const table: DrizzleTable = sqliteTable(name, columns, (self) => [
    ...(others.length === 0 ? [] : [primaryKey({ columns: [...columnsOf(self, schema.primaryKey)] })]),
    ...schema.indexes.map((definition) => {
      const [first, ...rest] = columnsOf(self, definition.columns)
      return (definition.unique === true ? uniqueIndex(definition.name) : index(definition.name)).on(first, ...rest)
    }),
    ...(schema.foreignKeys ?? []).map((reference) => {
      const parent = tables.get(reference.table)
      if (parent === undefined) throw new Error(`"${reference.table}" must come before "${name}".`)
      return foreignKey({
        columns: [...columnsOf(self, [reference.column])],
        foreignColumns: [...columnsOf(parent, [reference.references])]
      }).onDelete("cascade")
    })
  ])
  tables.set(name, table)
  return table
}

export const execution = drizzleTable("execution", coreSchema.execution)
export const executionInteraction = drizzleTable("execution_interaction", coreSchema.execution_interaction)
export const executionToolCall = drizzleTable("execution_tool_call", coreSchema.execution_tool_call)
export const source = drizzleTable("source", coreSchema.source)
export const tool = drizzleTable("tool", coreSchema.tool)
