/**
 * The SQL of Postgres, with `$1` for parameters. Lists are arrays, so that one statement serves a list of any length, and
 * limits are part of the text: Postgres plans for a limit that it knows.
 */
import type { AdapterSchema, ColumnType } from "@executor/sdk"
import type { Dialect, Parameter, Sql } from "./dialect.ts"
import { encodeText } from "./postgresText.ts"

/** The types of columns. */
export const columnTypes: { readonly [Type in ColumnType]: string } = {
  text: "text",
  integer: "bigint",
  boolean: "boolean"
}

const add = (sql: Sql, parameter: Parameter): string => `$${sql.parameters.push(parameter)}`

const value = (sql: Sql, value: string | number | boolean | null): string => {
  if (typeof value === "string") return add(sql, encodeText(value))
  if (typeof value === "boolean") return add(sql, String(value))
  if (value === null || Number.isSafeInteger(value)) return add(sql, value)
  return `${add(sql, value)}::float8`
}

const element = (value: string | number | boolean | null): string =>
  typeof value === "string" ? `"${encodeText(value).replace(/[\\"]/g, "\\$&")}"` : String(value)

/** Values of one type as an array. */
export const array = (sql: Sql, values: ReadonlyArray<string | number | boolean | null>, type: string): string =>
  `${add(sql, `{${values.map(element).join(",")}}`)}::${type}[]`

const arrayType = ({ type }: AdapterSchema.Column, values: ReadonlyArray<unknown>): string =>
  type === "integer" && !values.every(Number.isSafeInteger) ? "float8" : columnTypes[type]

/** The SQL of Postgres. */
export const postgresDialect: Dialect = {
  value,
  stored: (sql, _column, stored) => value(sql, stored),
  // Postgres packs long text by itself.
  payload: (name) => name,
  // Not a search for a position: an index of trigrams can serve this.
  contains: (sql, column, text) => {
    const pattern = encodeText(text).replace(/[\\%_]/g, "\\$&")
    return `lower(${column}) LIKE ${add(sql, `%${pattern}%`)}`
  },
  mayContain: () => "TRUE",
  related: "",
  endsWith: (sql, column, text) => {
    const stored = encodeText(text)
    return `right(${column}, ${add(sql, Array.from(stored).length)}) = ${add(sql, stored)}`
  },
  oneOf: (sql, column, name, values) => `${name} = ANY(${array(sql, values, arrayType(column, values))})`,
  unindexed: (name) => name,
  limit: (_sql, limit) => String(limit),
  nullsFirst: "desc"
}

/**
 * The SQL of what is written on a condition about other rows: they hold still until it is committed. Without that, a write that begins
 * while another transaction changes such a row would go by what the row was before, and be committed after it.
 */
export const postgresWriteDialect: Dialect = { ...postgresDialect, related: " FOR NO KEY UPDATE" }
