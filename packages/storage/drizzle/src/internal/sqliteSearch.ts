/**
 * Searches for text on SQLite, by the index that `searchIndex.ts` keeps.
 *
 * The index of a table is an FTS5 table of trigrams without content. A document in it holds the text of a few rows that
 * follow each other, a group, since they have most trigrams in common: that makes the index a third as large as one with a
 * document a row, and quicker. What it does not cover is in a table of pending rows: those written or changed since, and
 * executions that have not ended. So the candidates for a text are the rows of the groups that are found, and all that are
 * pending; the exact conditions then look at each.
 *
 * A statement is planned for how many candidates there are, counted up to a bound. Few of them lead: they are looked up, and
 * sorted if need be. Where there are many, other indexes lead, in the order of a page, and the candidates only spare looking
 * into the rows that cannot contain the text. The count decides nothing but the plan.
 */
import { AdapterSchema, type Where } from "@executor/sdk"
import { type Candidates, candidatesOf, type Finder, hasSearch, isAmong, joined } from "./candidates.ts"
import { type Dialect, type Sql, startSql } from "./dialect.ts"
import { sqliteDialect } from "./sqliteDialect.ts"
import type { Statements } from "./statements.ts"

/** Rows whose ids differ in the last bits only are in one group. */
export const groupBits = 4

/** Looking into a row takes about 10 us, so this many take no longer than anybody waits. */
const maxLeading = 5_000

/** The characters of a value that are searched for in the index: enough to tell texts apart. */
const maxSearched = 64

/** The UTF-16 units that they take at most: documents that share a text overlap by as many. */
export const searchedUnits = 2 * maxSearched

/** Text as it is indexed and searched for: to FTS5, a NUL ends it. */
export const indexedText = (text: string): string => text.replaceAll("\0", " ")

/** The trigrams of a value as a query of FTS5, or nothing if it is too short for one. */
const trigrams = (value: string): string | undefined => {
  const characters = Array.from(indexedText(value.slice(0, searchedUnits).toWellFormed())).slice(0, maxSearched)
  // Half a pair, where the slice has cut one.
  if (value.length > searchedUnits) characters.pop()
  if (characters.length < 3) return undefined
  const found = new Set(characters.slice(2).map((_, i) => characters.slice(i, i + 3).join("")))
  return [...found].map((trigram) => `"${trigram.replaceAll('"', '""')}"`).join(" AND ")
}

const groups = `(VALUES ${Array.from({ length: 1 << groupBits }, (_, i) => `(${i})`).join(", ")})`

/** The groups, as `row_group`, of the documents that are found. Their ids say nothing: close to each other, they take a byte each. */
const groupsFound = (sql: Sql, table: AdapterSchema.Table, query: string, columns: string, more = ""): string => {
  const [found, document] = [`t${sql.aliases++}`, `t${sql.aliases++}`]
  return (
    `SELECT ${columns} FROM main."${table.name}_search"(${sql.dialect.value(sql, query)}) AS ${found} ` +
    `CROSS JOIN main."${table.name}_search_document" AS ${document} ON ${document}.id = ${found}.rowid${more}`
  )
}

const pending = (table: AdapterSchema.Table): string => `SELECT id FROM main."${table.name}_search_pending"`

const ofText = (table: AdapterSchema.Table, query: string): Candidates => ({
  column: "rowid",
  select: (sql) => {
    const offset = `t${sql.aliases++}`
    const value = `(row_group << ${groupBits}) + ${offset}.column1 AS value`
    return `${groupsFound(sql, table, query, value, ` CROSS JOIN ${groups} AS ${offset}`)} UNION ALL ${pending(table)}`
  }
})

const finderOf = (tables: AdapterSchema.Tables): Finder => ({
  tables,
  ofText: (table, text) => {
    const query = table.schema.text === undefined ? undefined : trigrams(text)
    return query === undefined ? undefined : ofText(table, query)
  },
  key: "rowid",
  // The order of the tables in the text is that in which SQLite reads them.
  join: "CROSS JOIN"
})

/** Whether the rows that have the values are few. */
const areFew = (
  statements: Statements,
  finder: Finder,
  table: AdapterSchema.Table,
  candidates: Candidates
): boolean => {
  const sql = startSql(sqliteDialect, statements.tables)
  const rows =
    candidates.column === finder.key
      ? candidates.select(sql)
      : `SELECT 1 FROM ${joined(sql, finder, table, candidates).text}`
  const text = `SELECT count(*) AS count FROM (${rows} LIMIT ${maxLeading + 1})`
  return (statements.all<{ count: number }>(text, sql.parameters)[0]?.count ?? 0) <= maxLeading
}

/** The SQL of a statement with the condition, for as many candidates as there are now. */
export const searchDialect = (statements: Statements, tableName: string, where: Where | undefined): Dialect => {
  if (where === undefined || !hasSearch(where)) return sqliteDialect
  const { tables } = statements
  const finder = finderOf(tables)
  const table = AdapterSchema.tableOf(tables, tableName)
  const candidates = candidatesOf(finder, table, where)
  if (candidates !== undefined && areFew(statements, finder, table, candidates)) {
    return {
      ...sqliteDialect,
      narrow: (sql, from, condition) =>
        condition === where ? { text: isAmong(sql, from, candidates), leads: true } : undefined
    }
  }
  return {
    ...sqliteDialect,
    mayContain: (sql, { alias, table }, value) => {
      const query = table.schema.text === undefined ? undefined : trigrams(value)
      if (query === undefined) return "TRUE"
      const found = groupsFound(sql, table, query, "row_group")
      return `(${alias}.rowid >> ${groupBits} IN (${found}) OR ${alias}.rowid IN (${pending(table)}))`
    },
    narrow: (sql, from, condition) => {
      if (condition.op !== "exists" || condition.where === undefined) return undefined
      const other = AdapterSchema.tableOf(tables, condition.table)
      const inner = candidatesOf(finder, other, condition.where)
      const outer = candidatesOf(finder, from.table, condition)
      if (inner === undefined || outer === undefined || !areFew(statements, finder, other, inner)) return undefined
      return { text: `+${isAmong(sql, from, outer)}`, leads: false }
    }
  }
}
