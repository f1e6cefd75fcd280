/**
 * Reading on SQLite: `find`, `count` and `countBy` of `DBAdapter` as prepared statements.
 */
import { AdapterSchema, type CountByOptions, type FindOptions, type Group, type Row, type Value } from "@executor/sdk"
import { startSql } from "./dialect.ts"
import { findPart, groupOf, hasParts, type Part, selectCount, selectCountBy, selectedColumns } from "./selects.ts"
import { searchDialect } from "./sqliteSearch.ts"
import type { Statements } from "./statements.ts"

/** Booleans are stored as 0 and 1. */
const decode = (column: AdapterSchema.Column, value: unknown): Value =>
  value === null || value === undefined ? null : column.type === "boolean" ? value === 1 : (value as Value)

/** Rows of a table. Where they are read in two parts, both are of one state of the database. */
export const find = (statements: Statements, options: FindOptions): ReadonlyArray<Row> => {
  AdapterSchema.checkLimit(options.limit)
  const { limit } = options
  const table = AdapterSchema.tableOf(statements.tables, options.table)
  const booleans = selectedColumns(table, options).filter(({ type }) => type === "boolean")
  const dialect = searchDialect(statements, options.table, options.where)
  const read = (part: Part, limit: number | undefined): Array<Row> => {
    const sql = startSql(dialect, statements.tables)
    const rows = statements.all<Record<string, Value>>(findPart(sql, options, part, limit), sql.parameters)
    for (const row of rows) for (const column of booleans) row[column.name] = decode(column, row[column.name])
    return rows
  }
  if (limit === undefined || !hasParts(table, options)) return read("all", limit)
  if (options.after?.[0] === null) return read("null", limit)
  return statements.snapshot(() => {
    const rows = read("notNull", limit)
    return rows.length === limit ? rows : [...rows, ...read("null", limit - rows.length)]
  })
}

/** How many rows fulfil a condition. */
export const count = (statements: Statements, options: Pick<FindOptions, "table" | "where">): number => {
  const dialect = searchDialect(statements, options.table, options.where)
  const { parameters, text } = selectCount(dialect, statements.tables, options)
  return statements.all<{ count: number }>(text, parameters)[0]?.count ?? 0
}

/** Counts of groups, largest first. */
export const countBy = (statements: Statements, options: CountByOptions): ReadonlyArray<Group> => {
  const dialect = searchDialect(statements, options.table, options.where)
  const select = selectCountBy(dialect, statements.tables, options)
  return statements
    .all<Record<string, Value>>(select.text, select.parameters)
    .map((row) => groupOf(select, row, decode))
}
