/**
 * The tables of `coreSchema` as Drizzle tables for Postgres, for drizzle-kit to generate migrations from.
 *
 * They are derived, as those for SQLite are. Text is compared by code points on every database, whatever the order that
 * this one has by default.
 */
import { type AdapterSchema, type ColumnType, coreSchema, type TableSchema } from "@executor/sdk"
import { getTableColumns, isNotNull, sql } from "drizzle-orm"
import {
  type AnyPgColumn,
  bigint,
  boolean,
  customType,
  foreignKey,
  index,
  type PgColumnBuilderBase,
  pgTable,
  primaryKey,
  uniqueIndex
} from "drizzle-orm/pg-core"

type Columns = Record<string, AnyPgColumn>

const text = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' })

const builderOf = (type: ColumnType) =>
  type === "text" ? text() : type === "integer" ? bigint({ mode: "number" }) : boolean()

const generatedSql = ({ join, or }: AdapterSchema.Generated) => {
  const joined = join.map((name) => `"${name}"::text`).join(" || ':' || ")
  return sql.raw(or === undefined ? joined : `coalesce("${or}", ${joined})`)
}

const pick = (columns: Columns, names: ReadonlyArray<string>): [AnyPgColumn, ...Array<AnyPgColumn>] => {
  const [first, ...rest] = names.map((name) => {
    const column = columns[name]
    if (column === undefined) throw new Error(`There is no column "${name}".`)
    return column
  })
  if (first === undefined) throw new Error("An index or a key needs a column.")
  return [first, ...rest]
}

/** The columns of the tables made so far. A table that others refer to comes before them in the schema. */
const made = new Map<string, Columns>()

const drizzleTable = (name: string, schema: TableSchema) => {
  const [key, ...otherKeys] = schema.primaryKey
  const builders: Record<string, PgColumnBuilderBase> = {}
  for (const [column, { generated, nullable, type }] of Object.entries(schema.columns)) {
    const plain = builderOf(type)
    const builder = generated === undefined ? plain : plain.generatedAlwaysAs(generatedSql(generated))
    const isKey = column === key && otherKeys.length === 0
    const isNumber = isKey && type === "integer"
    builders[column] = isNumber
      ? bigint({ mode: "number" }).primaryKey().generatedByDefaultAsIdentity()
      : isKey
        ? builder.primaryKey()
        : nullable === true
          ? builder
          : builder.notNull()
  }
  const table = pgTable(name, builders, (columns: Columns) => [
    ...(otherKeys.length === 0 ? [] : [primaryKey({ columns: pick(columns, schema.primaryKey) })]),
    ...schema.indexes.map(({ columns: names, name, notNull, unique }) => {
      const definition = (unique === true ? uniqueIndex : index)(name).on(...pick(columns, names))
      return notNull === undefined ? definition : definition.where(isNotNull(pick(columns, [notNull])[0]))
    }),
    ...(schema.foreignKeys ?? []).map((reference) =>
      foreignKey({
        columns: pick(columns, [reference.column]),
        foreignColumns: pick(made.get(reference.table) ?? {}, [reference.references])
      }).onDelete(reference.onDelete ?? "cascade")
    )
  ])
  made.set(name, getTableColumns(table))
  return table
}

export const executionCode = drizzleTable("execution_code", coreSchema.execution_code)
export const execution = drizzleTable("execution", coreSchema.execution)
export const executionOutput = drizzleTable("execution_output", coreSchema.execution_output)
export const executionInteraction = drizzleTable("execution_interaction", coreSchema.execution_interaction)
export const executionToolCall = drizzleTable("execution_tool_call", coreSchema.execution_tool_call)
export const executionTool = drizzleTable("execution_tool", coreSchema.execution_tool)
export const toolName = drizzleTable("tool_name", coreSchema.tool_name)
export const rollupGroup = drizzleTable("rollup_group", coreSchema.rollup_group)
export const executionRollup = drizzleTable("execution_rollup", coreSchema.execution_rollup)
export const durationRollup = drizzleTable("duration_rollup", coreSchema.duration_rollup)
export const toolRollup = drizzleTable("tool_rollup", coreSchema.tool_rollup)
export const toolSet = drizzleTable("tool_set", coreSchema.tool_set)
export const toolSetMember = drizzleTable("tool_set_member", coreSchema.tool_set_member)
export const toolSetRollup = drizzleTable("tool_set_rollup", coreSchema.tool_set_rollup)
export const source = drizzleTable("source", coreSchema.source)
export const tool = drizzleTable("tool", coreSchema.tool)
