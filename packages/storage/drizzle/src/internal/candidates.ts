/**
 * What an index of text says of a whole condition: the rows among which those that fulfil it are. A search is a part of a
 * condition, often one of several alternatives, and a database finds no way from there to the rows by itself.
 */
import { AdapterSchema, type Where } from "@executor/sdk"
import { type Aliased, aliased, condition, reference } from "./conditions.ts"
import type { Sql } from "./dialect.ts"

/** Values of a column, as `value`, among which are those of all rows that fulfil a condition. */
export interface Candidates {
  readonly column: string
  readonly select: (sql: Sql) => string
}

/** How a database finds them. */
export interface Finder {
  readonly tables: AdapterSchema.Tables
  /** The rows of a table that may contain a text, by `key`, if the index can tell. */
  readonly ofText: (table: AdapterSchema.Table, text: string) => Candidates | undefined
  /** A column that tells rows apart, in tables with text. */
  readonly key: string
  readonly join: "JOIN" | "CROSS JOIN"
}

/** A column that candidates have values of; SQLite's `rowid` is in no schema. */
export const column = (from: Aliased, name: string): string =>
  name === "rowid" ? `${from.alias}.rowid` : reference(from, name)

/** Whether a row is among the candidates. */
export const isAmong = (sql: Sql, from: Aliased, { column: name, select }: Candidates): string =>
  `${column(from, name)} IN (${select(sql)})`

/** The rows of a table that are among the candidates, those leading. */
export const joined = (
  sql: Sql,
  { join }: Finder,
  table: AdapterSchema.Table,
  { column: name, select }: Candidates
): { readonly from: Aliased; readonly text: string } => {
  const values = `t${sql.aliases++}`
  const from = aliased(sql, table)
  const rows = `"${table.name}" AS ${from.alias} ON ${column(from, name)} = ${values}.value`
  return { from, text: `(${select(sql)}) AS ${values} ${join} ${rows}` }
}

const byKey = (finder: Finder, table: AdapterSchema.Table, candidates: Candidates): Candidates =>
  candidates.column === finder.key
    ? candidates
    : {
        column: finder.key,
        select: (sql) => {
          const { from, text } = joined(sql, finder, table, candidates)
          return `SELECT ${column(from, finder.key)} AS value FROM ${text}`
        }
      }

/** The candidates of a condition, if an index of text can tell. */
export const candidatesOf = (finder: Finder, table: AdapterSchema.Table, where: Where): Candidates | undefined => {
  switch (where.op) {
    case "mayContain":
      return finder.ofText(table, where.value)
    case "and":
      for (const inner of where.conditions) {
        const found = candidatesOf(finder, table, inner)
        if (found !== undefined) return found
      }
      return undefined
    case "or": {
      const all = where.conditions.map((inner) => candidatesOf(finder, table, inner))
      const found = all.filter((candidates) => candidates !== undefined)
      if (found.length === 0 || found.length < all.length) return undefined
      const selects = found.map((candidates) => byKey(finder, table, candidates).select)
      return { column: finder.key, select: (sql) => selects.map((select) => select(sql)).join(" UNION ALL ") }
    }
    case "exists": {
      const { foreign, local, table: name, where: inner } = where
      const other = AdapterSchema.tableOf(finder.tables, name)
      const found = inner === undefined ? undefined : candidatesOf(finder, other, inner)
      if (inner === undefined || found === undefined) return undefined
      return {
        column: AdapterSchema.columnOf(table, local).name,
        select: (sql) => {
          const { from, text } = joined(sql, finder, other, found)
          return `SELECT ${reference(from, foreign)} AS value FROM ${text} WHERE ${condition(sql, from, inner)}`
        }
      }
    }
    default:
      return undefined
  }
}

/** Whether a condition has a search in it. */
export const hasSearch = (where: Where | undefined): boolean => {
  switch (where?.op) {
    case "mayContain":
      return true
    case "and":
    case "or":
      return where.conditions.some(hasSearch)
    case "not":
      return hasSearch(where.condition)
    case "exists":
      return hasSearch(where.where)
    default:
      return false
  }
}
