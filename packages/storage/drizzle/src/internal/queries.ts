/**
 * Reading: `find`, `count` and `countBy` of `DBAdapter` as prepared statements.
 */
import { AdapterSchema, type CountByOptions, type FindOptions, type Group, type Row, type Value } from "@executor/sdk"
import { afterPosition, aliased, condition, reference, type Aliased, type Sql } from "./conditions.ts"
import type { Statements } from "./statements.ts"

const start = (tables: AdapterSchema.Tables): Sql => ({ tables, parameters: [], aliases: 0 })

/** Booleans are stored as 0 and 1. */
const decode = (column: AdapterSchema.Column, value: unknown): Value =>
  value === null || value === undefined ? null : column.type === "boolean" ? value === 1 : (value as Value)

/** Part of a list: the rows where the first column of the order is null, those where it is not, or all of them. */
type Part = "null" | "notNull" | "all"

const findPart = (statements: Statements, options: FindOptions, part: Part, limit: number | undefined): Array<Row> => {
  const sql = start(statements.tables)
  const from = aliased(sql, AdapterSchema.tableOf(sql.tables, options.table))
  const [first, ...others] = options.orderBy ?? []
  const orderBy = first === undefined ? [] : part === "null" ? others : [first, ...others]
  const columns =
    options.select === undefined
      ? from.table.columnList
      : options.select.map((name) => AdapterSchema.columnOf(from.table, name))

  const conditions: Array<string> = []
  if (options.where !== undefined) conditions.push(condition(sql, from, options.where))
  if (first !== undefined && part !== "all") {
    conditions.push(`${reference(from, first.column)} ${part === "null" ? "IS NULL" : "IS NOT NULL"}`)
  }
  if (options.after !== undefined) {
    AdapterSchema.checkAfter(options.orderBy ?? [], options.after)
    const notNull = first !== undefined && part === "notNull" ? [first.column] : []
    const [position, ...rest] = options.after
    if (part !== "null") conditions.push(afterPosition(sql, from, orderBy, options.after, notNull))
    else if (position === null) conditions.push(afterPosition(sql, from, orderBy, rest, []))
  }

  const order = orderBy.map(({ column, direction }) => {
    const { nullable } = AdapterSchema.columnOf(from.table, column)
    const nulls = nullable && direction === "asc" && !(part === "notNull" && column === first?.column)
    return `${reference(from, column)} ${direction === "asc" ? "ASC" : "DESC"}${nulls ? " NULLS LAST" : ""}`
  })
  if (limit !== undefined) sql.parameters.push(limit)
  const text =
    `SELECT ${columns.map(({ name }) => reference(from, name)).join(", ")} FROM "${from.table.name}" AS ${from.alias}` +
    (conditions.length > 0 ? ` WHERE ${conditions.join(" AND ")}` : "") +
    (order.length > 0 ? ` ORDER BY ${order.join(", ")}` : "") +
    (limit === undefined ? "" : " LIMIT ?")

  const rows = statements.all<Record<string, Value>>(text, sql.parameters)
  const booleans = columns.filter(({ type }) => type === "boolean")
  for (const row of rows) for (const column of booleans) row[column.name] = decode(column, row[column.name])
  return rows
}

/**
 * Rows of a table. Where the order begins with a column that can be null, the rows with and without a value are two
 * ranges of an index, and are read one after the other: a single condition for both could not start at the position.
 */
export const find = (statements: Statements, options: FindOptions): ReadonlyArray<Row> => {
  AdapterSchema.checkLimit(options.limit)
  const table = AdapterSchema.tableOf(statements.tables, options.table)
  const first = options.orderBy?.[0]
  if (first === undefined || !AdapterSchema.columnOf(table, first.column).nullable || options.limit === undefined) {
    return findPart(statements, options, "all", options.limit)
  }
  const { limit } = options
  if (options.after?.[0] === null) return findPart(statements, options, "null", limit)
  return statements.snapshot(() => {
    const rows = findPart(statements, options, "notNull", limit)
    return rows.length === limit ? rows : [...rows, ...findPart(statements, options, "null", limit - rows.length)]
  })
}

const whereClause = (sql: Sql, from: Aliased, where: FindOptions["where"]): string =>
  where === undefined ? "" : ` WHERE ${condition(sql, from, where)}`

/** How many rows fulfil a condition. */
export const count = (statements: Statements, options: Pick<FindOptions, "table" | "where">): number => {
  const sql = start(statements.tables)
  const from = aliased(sql, AdapterSchema.tableOf(sql.tables, options.table))
  const where = whereClause(sql, from, options.where)
  const text = `SELECT count(*) AS count FROM "${from.table.name}" AS ${from.alias}${where}`
  return statements.all<{ count: number }>(text, sql.parameters)[0]?.count ?? 0
}

/** Counts of groups, largest first. */
export const countBy = (statements: Statements, options: CountByOptions): ReadonlyArray<Group> => {
  AdapterSchema.checkLimit(options.limit)
  const sql = start(statements.tables)
  const from = aliased(sql, AdapterSchema.tableOf(sql.tables, options.table))
  const keys = options.by.map((group) => {
    if ("column" in group) {
      return { column: AdapterSchema.columnOf(from.table, group.column), text: reference(from, group.column) }
    }
    const { size } = group.bucket
    const column = AdapterSchema.columnOf(from.table, group.bucket.column)
    AdapterSchema.checkBucket(column, size)
    const name = reference(from, column.name)
    // The remainder has the sign of the value, and a bucket begins below it.
    return { column, text: `${name} - ((${name} % ${size}) + ${size}) % ${size}` }
  })
  const where = whereClause(sql, from, options.where)
  const counted = options.distinct === undefined ? "*" : `DISTINCT ${reference(from, options.distinct)}`
  const order = keys.map((_, i) => `k${i} ASC NULLS LAST`)
  if (options.limit !== undefined) sql.parameters.push(options.limit)
  const text =
    `SELECT ${[...keys.map(({ text }, i) => `${text} AS k${i}`), `count(${counted}) AS count`].join(", ")}` +
    ` FROM "${from.table.name}" AS ${from.alias}${where}` +
    (keys.length > 0 ? ` GROUP BY ${keys.map((_, i) => `k${i}`).join(", ")}` : " HAVING count(*) > 0") +
    ` ORDER BY ${["count DESC", ...order].join(", ")}` +
    (options.limit === undefined ? "" : " LIMIT ?")
  return statements.all<Record<string, Value>>(text, sql.parameters).map((row) => ({
    keys: keys.map(({ column }, i) => decode(column, row[`k${i}`])),
    count: Number(row["count"])
  }))
}
