/**
 * The SQL of SQLite, with `?` for parameters and booleans as 0 and 1.
 */
import { AdapterSchema } from "@executor/sdk"
import type { Dialect, Parameter, Sql } from "./dialect.ts"
import { type PackedTexts, unpackedText } from "./packedText.ts"

/** SQLite refuses statements with more parameters than this. */
const maxValues = 32_000

/** Longer lists of numbers are one parameter. */
const maxMarks = 64

/** A value as it is bound. */
export const bind = (value: string | number | boolean | Uint8Array | null): Parameter =>
  typeof value === "boolean" ? Number(value) : value

const parameter = (sql: Sql, value: string | number | boolean | Uint8Array | null): "?" => {
  sql.parameters.push(bind(value))
  return "?"
}

/** The SQL of SQLite. */
export const sqliteDialect: Dialect = {
  value: parameter,
  stored: (sql, _column, value) => parameter(sql, value),
  payload: unpackedText,
  contains: (sql, column, value) => `instr(lower(${column}), ${parameter(sql, value)}) > 0`,
  mayContain: () => "TRUE",
  related: "",
  endsWith: (sql, column, value) => {
    // As bytes, because SQLite's length of a text ends at a NUL.
    const length = parameter(sql, -new TextEncoder().encode(value).length)
    return `substr(CAST(${column} AS BLOB), ${length}) = CAST(${parameter(sql, value)} AS BLOB)`
  },
  oneOf: (sql, column, name, values) => {
    if (values.length > maxMarks && column.type === "integer" && values.every(Number.isSafeInteger)) {
      return `${name} IN (SELECT value FROM json_each(${parameter(sql, JSON.stringify(values))}))`
    }
    if (sql.parameters.length + values.length > maxValues) {
      throw AdapterSchema.refuse(
        `A condition can have at most ${maxValues} values, and "${column.name}" has ${values.length}.`
      )
    }
    // Filled up to a power of two with the last value, so that lists of any length share few statements.
    const count = Math.min(2 ** Math.ceil(Math.log2(values.length)), maxValues)
    const marks = Array.from({ length: count }, (_, i) => parameter(sql, values[i] ?? values.at(-1) ?? null))
    return `${name} IN (${marks.join(", ")})`
  },
  unindexed: (name) => `+${name}`,
  leadingJoin: "CROSS JOIN",
  limit: parameter,
  nullsFirst: "asc"
}

/** The SQL of SQLite for a unit of work with long texts, given as they are stored. */
export const packingDialect = (texts: PackedTexts): Dialect =>
  texts.size === 0
    ? sqliteDialect
    : {
        ...sqliteDialect,
        stored: (sql, { payload }, value) =>
          parameter(sql, (payload && typeof value === "string" ? texts.get(value) : undefined) ?? value)
      }
