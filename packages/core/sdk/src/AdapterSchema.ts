/**
 * A `DBSchema` as an adapter needs it: names looked up, values checked. For authors of adapters.
 *
 * A request that names a table or column the schema does not have, or gives a value of another type than the column's,
 * is a mistake of the caller. These functions throw it as a {@link DBError} with reason `other`, so that every adapter
 * refuses the same requests in the same words; an adapter calls them inside the effect that it returns.
 */
import {
  type ColumnType,
  DBError,
  type DBSchema,
  type OrderBy,
  type Row,
  type TableSchema,
  type Value
} from "./DBAdapter.ts"

/** What a generated column is made of. */
export type Generated = NonNullable<TableSchema["columns"][string]["generated"]>

/** A column with all that is known of it. */
export interface Column {
  readonly table: string
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  readonly payload: boolean
  readonly generated: Generated | undefined
}

/** A table by columns, in the order of the schema. */
export interface Table {
  readonly name: string
  readonly schema: TableSchema
  readonly columns: ReadonlyMap<string, Column>
  readonly columnList: ReadonlyArray<Column>
  /** Those that are written: all but the generated ones. */
  readonly written: ReadonlyArray<Column>
  /** The names of those that may hold long text. */
  readonly payloads: ReadonlyArray<string>
}

/** The tables of a schema by name. */
export type Tables = ReadonlyMap<string, Table>

/** Prepares a schema for lookups; done once, when an adapter is made. */
export const compile = (schema: DBSchema): Tables =>
  new Map(
    Object.entries(schema).map(([name, table]) => {
      const columnList = Object.entries(table.columns).map(([column, { generated, nullable, payload, type }]) => ({
        table: name,
        name: column,
        type,
        nullable: nullable === true,
        payload: payload === true,
        generated
      }))
      const columns = new Map(columnList.map((column) => [column.name, column]))
      const written = columnList.filter(({ generated }) => generated === undefined)
      const payloads = columnList.filter(({ payload }) => payload).map((column) => column.name)
      return [name, { name, schema: table, columnList, columns, written, payloads }]
    })
  )

/** The refusal of a request that does not fit the schema. */
export const refuse = (message: string): DBError => new DBError({ message, reason: "other" })

/** The table of that name; throws a {@link DBError} if there is none. */
export const tableOf = (tables: Tables, name: string): Table => {
  const table = tables.get(name)
  if (table === undefined) {
    throw refuse(`There is no table "${name}": expected one of ${[...tables.keys()].join(", ")}.`)
  }
  return table
}

/** The column of that name; throws a {@link DBError} if there is none. */
export const columnOf = (table: Table, name: string): Column => {
  const column = table.columns.get(name)
  if (column === undefined) {
    throw refuse(
      `There is no column "${name}" in "${table.name}": expected one of ${[...table.columns.keys()].join(", ")}.`
    )
  }
  return column
}

/** A value that a column is compared with, as it is stored; throws a {@link DBError} if it is of another type. */
export const comparable = (column: Column, value: unknown): string | number | boolean => {
  switch (column.type) {
    case "text":
      if (typeof value === "string") return value.toWellFormed()
      break
    case "integer":
      if (typeof value === "number" && !Number.isNaN(value)) return value
      break
    case "boolean":
      if (typeof value === "boolean") return value
  }
  throw refuse(`"${column.table}.${column.name}" is ${column.type} and cannot be compared with ${describe(value)}.`)
}

/** A value to be written to a column, as it is stored; throws a {@link DBError} if the column cannot hold it. */
export const storable = (column: Column, value: unknown): Value => {
  if (value === null || value === undefined) {
    if (column.nullable) return null
    throw refuse(`"${column.table}.${column.name}" cannot be null.`)
  }
  if (column.type === "integer") {
    if (Number.isSafeInteger(value)) return value as number
  } else if (column.type === "boolean") {
    if (typeof value === "boolean") return value
  } else if (typeof value === "string") return value.toWellFormed()
  throw refuse(`"${column.table}.${column.name}" is ${column.type} and cannot hold ${describe(value)}.`)
}

/** Throws a {@link DBError} if the row has a column that the table has not, or that is generated. */
export const checkColumns = (table: Table, row: Row): void => {
  for (const name in row) {
    const column = table.columns.get(name) ?? columnOf(table, name)
    if (column.generated !== undefined) throw isGenerated(column)
  }
}

const isGenerated = ({ name, table }: Column): DBError =>
  refuse(`"${table}.${name}" is generated and cannot be written.`)

/** The value of a generated column in a row that has the columns it is made of. */
export const generate = ({ join, or }: Generated, row: Row): Value =>
  (or === undefined ? undefined : row[or]) ?? join.map((name) => row[name]).join(":")

/** The column of a `set`; throws a {@link DBError} for a column of the primary key, and for an increment of text. */
export const settable = (table: Table, name: string, increments: boolean): Column => {
  const column = columnOf(table, name)
  if (table.schema.primaryKey.includes(name)) {
    throw refuse(`"${table.name}.${name}" is part of the primary key and cannot be changed.`)
  }
  if (column.generated !== undefined) throw isGenerated(column)
  if (increments && column.type !== "integer") throw refuse(`"${table.name}.${name}" is ${column.type}, not a counter.`)
  return column
}

/** The column of a sum; throws a {@link DBError} unless it is an integer. */
export const summable = (table: Table, name: string): Column => {
  const column = columnOf(table, name)
  if (column.type !== "integer") throw refuse(`"${table.name}.${name}" is ${column.type} and has no sum.`)
  return column
}

/** Throws a {@link DBError} unless the limit is absent or a whole number from 0. */
export const checkLimit = (limit: number | undefined): void => {
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw refuse(`A limit is a whole number from 0, not ${describe(limit)}.`)
  }
}

/** Throws a {@link DBError} unless the position has a value for each column of the order. */
export const checkAfter = (orderBy: ReadonlyArray<OrderBy>, after: ReadonlyArray<Value>): void => {
  if (orderBy.length === 0 || after.length !== orderBy.length) {
    throw refuse(
      `A position has one value for each column of the order: ${orderBy.length} wanted, ${after.length} given.`
    )
  }
}

/** Throws a {@link DBError} unless the column is an integer and the size a whole number from 1. */
export const checkBucket = (column: Column, size: number): void => {
  if (column.type !== "integer" || !(Number.isSafeInteger(size) && size > 0)) {
    throw refuse(`"${column.table}.${column.name}" cannot be put in buckets of ${describe(size)}.`)
  }
}

/** A message for a row that repeats a unique value. */
export const uniqueMessage = (table: string, columns: ReadonlyArray<string>): string =>
  `A row with the same ${columns.join(" and ")} is in "${table}" already.`

const describe = (value: unknown): string =>
  typeof value === "string" ? "text" : typeof value === "number" ? `the number ${value}` : `a ${typeof value}`
