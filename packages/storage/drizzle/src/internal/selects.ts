/**
 * `find`, `count` and `countBy` of `DBAdapter` as SQL.
 */
import { AdapterSchema, type CountByOptions, type FindOptions, type Group, type Value } from "@executor/sdk"
import { afterPosition, aliased, condition, reference, summed, valueOf, type Aliased } from "./conditions.ts"
import { type Dialect, type Parameter, type Sql, startSql } from "./dialect.ts"

/** A statement that reads. */
export interface Select {
  readonly text: string
  readonly parameters: ReadonlyArray<Parameter>
}

/** Part of a list: the rows where the first column of the order is null, those where it is not, or all of them. */
export type Part = "null" | "notNull" | "all"

/**
 * Whether a list is read in two parts: where the order begins with a column that can be null, the rows with and without
 * a value are two ranges of an index, and a single condition for both could not start at the position.
 */
export const hasParts = (table: AdapterSchema.Table, { limit, orderBy }: FindOptions): boolean => {
  const first = orderBy?.[0]
  return limit !== undefined && first !== undefined && AdapterSchema.columnOf(table, first.column).nullable
}

/** The columns that a list gives; throws a `DBError` if there is no such column. */
export const selectedColumns = (
  table: AdapterSchema.Table,
  { select }: FindOptions
): ReadonlyArray<AdapterSchema.Column> =>
  select === undefined ? table.columnList : select.map((name) => AdapterSchema.columnOf(table, name))

/** The text of a part of a list; throws a `DBError` if the request does not fit the schema. */
export const findPart = (sql: Sql, options: FindOptions, part: Part, limit: number | undefined): string => {
  const from = aliased(sql, AdapterSchema.tableOf(sql.tables, options.table))
  const orderBy = options.orderBy ?? []
  const [first, ...others] = orderBy

  const conditions: Array<string> = []
  if (options.where !== undefined) conditions.push(condition(sql, from, options.where))
  if (first !== undefined && part !== "all") {
    conditions.push(`${reference(from, first.column)} ${part === "null" ? "IS NULL" : "IS NOT NULL"}`)
  }
  if (options.after !== undefined) {
    AdapterSchema.checkAfter(orderBy, options.after)
    const notNull = first !== undefined && part === "notNull" ? [first.column] : []
    const [position, ...rest] = options.after
    if (part !== "null") conditions.push(afterPosition(sql, from, orderBy, options.after, notNull))
    else if (position === null) conditions.push(afterPosition(sql, from, others, rest, []))
  }

  // The first column stays in the order where it is null in every row: the order is then that of the index.
  const order = orderBy.map(({ column, direction }) => {
    const { nullable } = AdapterSchema.columnOf(from.table, column)
    const nulls = nullable && direction === sql.dialect.nullsFirst && !(part !== "all" && column === first?.column)
    return `${valueOf(sql, from, column)} ${direction === "asc" ? "ASC" : "DESC"}${nulls ? " NULLS LAST" : ""}`
  })
  const columns = selectedColumns(from.table, options).map(({ name }) => reference(from, name))
  return (
    `SELECT ${columns.join(", ")} FROM "${from.table.name}" AS ${from.alias}` +
    (conditions.length > 0 ? ` WHERE ${conditions.join(" AND ")}` : "") +
    (order.length > 0 ? ` ORDER BY ${order.join(", ")}` : "") +
    (limit === undefined ? "" : ` LIMIT ${sql.dialect.limit(sql, limit)}`)
  )
}

/**
 * The tables and the condition of rows to count. Where those of one other row lie together, and the condition asks for that one, it
 * leads: of itself, SQLite looks it up for each row that there is.
 */
const counted = (sql: Sql, from: Aliased, where: FindOptions["where"]): string => {
  const rows = `"${from.table.name}" AS ${from.alias}`
  const { leadingJoin, narrow } = sql.dialect
  const relation = where?.op === "and" ? where.conditions.find((inner) => inner.op === "exists") : undefined
  const isNarrowed = where !== undefined && narrow?.({ ...sql, parameters: [] }, from, where) !== undefined
  if (where?.op !== "and" || relation === undefined || leadingJoin === undefined || isNarrowed) {
    return `${rows}${whereClause(sql, from, where)}`
  }
  const other = aliased(sql, AdapterSchema.tableOf(sql.tables, relation.table))
  const isOne = other.table.schema.primaryKey.join() === relation.foreign
  if (!isOne || from.table.schema.primaryKey[0] !== relation.local) return `${rows}${whereClause(sql, from, where)}`
  const conditions = [
    ...where.conditions.filter((inner) => inner !== relation).map((inner) => condition(sql, from, inner)),
    ...(relation.where === undefined ? [] : [condition(sql, other, relation.where)])
  ]
  return (
    `"${other.table.name}" AS ${other.alias} ${leadingJoin} ${rows}` +
    ` ON ${reference(from, relation.local)} = ${reference(other, relation.foreign)}` +
    (conditions.length > 0 ? ` WHERE ${conditions.join(" AND ")}` : "")
  )
}

const whereClause = (sql: Sql, from: Aliased, where: FindOptions["where"]): string =>
  where === undefined ? "" : ` WHERE ${condition(sql, from, where)}`

/** How many rows fulfil a condition, as `count`. */
export const selectCount = (
  dialect: Dialect,
  tables: AdapterSchema.Tables,
  options: Pick<FindOptions, "table" | "where">
): Select => {
  const sql = startSql(dialect, tables)
  const from = aliased(sql, AdapterSchema.tableOf(tables, options.table))
  const where = whereClause(sql, from, options.where)
  return {
    text: `SELECT count(*) AS count FROM "${from.table.name}" AS ${from.alias}${where}`,
    parameters: sql.parameters
  }
}

/**
 * Counts of groups, largest first, as `count`, with the keys as `k0`, `k1` and so on, which are of the columns `keys`, and
 * the sums as `s0`, `s1` and so on.
 */
export interface SelectGroups extends Select {
  readonly keys: ReadonlyArray<AdapterSchema.Column>
  readonly sums: number | undefined
}

/** A group as a row of {@link SelectGroups} has it. */
export const groupOf = (
  { keys, sums }: SelectGroups,
  row: { readonly [name: string]: unknown },
  decode: (column: AdapterSchema.Column, value: unknown) => Value
): Group => ({
  keys: keys.map((column, i) => decode(column, row[`k${i}`])),
  count: Number(row["count"]),
  ...(sums !== undefined && { sums: Array.from({ length: sums }, (_, i) => Number(row[`s${i}`])) })
})

/** The key of a group by whether a column has a value. */
const presence: AdapterSchema.Column = {
  table: "",
  name: "",
  type: "boolean",
  nullable: false,
  payload: false,
  generated: undefined
}

/** The statement of grouped counts; throws a `DBError` if the request does not fit the schema. */
export const selectCountBy = (
  dialect: Dialect,
  tables: AdapterSchema.Tables,
  options: CountByOptions
): SelectGroups => {
  AdapterSchema.checkLimit(options.limit)
  const sql = startSql(dialect, tables)
  const from = aliased(sql, AdapterSchema.tableOf(tables, options.table))
  const keys = options.by.map((group) => {
    if ("column" in group) {
      return { column: AdapterSchema.columnOf(from.table, group.column), text: valueOf(sql, from, group.column) }
    }
    if ("notNull" in group) {
      const { name } = AdapterSchema.columnOf(from.table, group.notNull)
      return { column: presence, text: `${reference(from, name)} IS NOT NULL` }
    }
    const { size } = group.bucket
    const column = AdapterSchema.columnOf(from.table, group.bucket.column)
    AdapterSchema.checkBucket(column, size)
    const name = reference(from, column.name)
    // The remainder has the sign of the value, and a bucket begins below it.
    return { column, text: `${name} - ((${name} % ${size}) + ${size}) % ${size}` }
  })
  const source = counted(sql, from, options.where)
  const what = options.distinct === undefined ? "*" : `DISTINCT ${valueOf(sql, from, options.distinct)}`
  const sums = (options.sum ?? []).map((name, i) => `coalesce(sum(${summed(from, name)}), 0) AS s${i}`)
  const order = keys.map((_, i) => `k${i} ASC NULLS LAST`)
  const text =
    `SELECT ${[...keys.map(({ text }, i) => `${text} AS k${i}`), `count(${what}) AS count`, ...sums].join(", ")}` +
    ` FROM ${source}` +
    (keys.length > 0 ? ` GROUP BY ${keys.map((_, i) => `k${i}`).join(", ")}` : " HAVING count(*) > 0") +
    ` ORDER BY ${["count DESC", ...order].join(", ")}` +
    (options.limit === undefined ? "" : ` LIMIT ${dialect.limit(sql, options.limit)}`)
  return { text, parameters: sql.parameters, keys: keys.map(({ column }) => column), sums: options.sum?.length }
}
