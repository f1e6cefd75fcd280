/**
 * Conditions and positions of `DBAdapter` as SQL.
 *
 * The text depends only on the shape of a condition, every value is a parameter, so that few prepared statements serve
 * many requests. SQL's third truth value never gets out: `IS NOT TRUE` takes it for false where a condition is negated,
 * and everywhere else it selects nothing, as false does.
 */
import { AdapterSchema, type OrderBy, type Value, type Where } from "@executor/sdk"
import type { Sql } from "./dialect.ts"

/** A table under the name that it has in the statement. */
export interface Aliased {
  readonly table: AdapterSchema.Table
  readonly alias: string
  /** Whether it is looked up for each row of another table. */
  readonly related?: boolean
  /** Whether a narrower condition finds its rows, so that no index shall be preferred to that. */
  readonly found?: boolean
}

/** SQLite takes a chain of 1000 operands for too deep a tree, so long ones are put in brackets. */
const maxChain = 100

const comparisons = { eq: "=", ne: "<>", lt: "<", lte: "<=", gt: ">", gte: ">=" } as const

/** The next table of the statement. */
export const aliased = (sql: Sql, table: AdapterSchema.Table): Aliased => ({ table, alias: `t${sql.aliases++}` })

/** A column of a table of the statement. */
export const reference = ({ alias, table }: Aliased, name: string): string =>
  `${alias}."${AdapterSchema.columnOf(table, name).name}"`

/** The value of a column, as it was written. */
export const valueOf = (sql: Sql, from: Aliased, name: string): string => {
  const text = reference(from, name)
  return AdapterSchema.columnOf(from.table, name).payload ? sql.dialect.payload(text) : text
}

/** A column whose values are added up. */
export const summed = (from: Aliased, name: string): string =>
  reference(from, AdapterSchema.summable(from.table, name).name)

const unindexedIfFound = (sql: Sql, from: Aliased, text: string): string =>
  from.found === true ? sql.dialect.unindexed(text) : text

const operand = (sql: Sql, from: Aliased, name: string): string => unindexedIfFound(sql, from, valueOf(sql, from, name))

const compared = (sql: Sql, { table }: Aliased, name: string, value: unknown): string =>
  sql.dialect.value(sql, AdapterSchema.comparable(AdapterSchema.columnOf(table, name), value))

/** A value that a column of text is searched for, as it is stored. */
const searched = ({ table }: Aliased, name: string, value: string): string =>
  String(AdapterSchema.comparable(AdapterSchema.columnOf(table, name), value))

/** The SQL of a condition; throws a `DBError` if it does not fit the schema. */
export const condition = (sql: Sql, from: Aliased, where: Where): string => {
  const narrower = sql.dialect.narrow?.(sql, from, where)
  if (narrower === undefined) return exactCondition(sql, from, where)
  const { leads, text } = narrower
  return `(${text} AND ${exactCondition(sql, leads ? { ...from, found: true } : from, where)})`
}

const exactCondition = (sql: Sql, from: Aliased, where: Where): string => {
  switch (where.op) {
    case "and":
    case "or":
      if (where.conditions.length === 0) return where.op === "and" ? "TRUE" : "FALSE"
      return chain(
        where.conditions.map((inner) => condition(sql, from, inner)),
        where.op === "and" ? " AND " : " OR "
      )
    case "not":
      return `(${condition(sql, from, where.condition)}) IS NOT TRUE`
    case "mayContain":
      return sql.dialect.mayContain(sql, from, where.value)
    case "isNull":
      return `${unindexedIfFound(sql, from, reference(from, where.column))} IS NULL`
    case "isNotNull":
      return `${unindexedIfFound(sql, from, reference(from, where.column))} IS NOT NULL`
    case "in":
      return oneOf(sql, from, where.column, where.values)
    case "contains": {
      const column = valueOf(sql, from, where.column)
      const value = where.value.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
      return sql.dialect.contains(sql, column, searched(from, where.column, value))
    }
    case "startsWith":
      return startsWith(sql, from, where.column, where.value.toWellFormed())
    case "endsWith": {
      const column = valueOf(sql, from, where.column)
      if (where.value === "") return `${column} IS NOT NULL`
      return sql.dialect.endsWith(sql, column, searched(from, where.column, where.value))
    }
    case "exists": {
      const other = { ...aliased(sql, AdapterSchema.tableOf(sql.tables, where.table)), related: true }
      const link = `${reference(other, where.foreign)} = ${reference(from, where.local)}`
      const inner = where.where === undefined ? "" : ` AND (${condition(sql, other, where.where)})`
      return `EXISTS (SELECT 1 FROM "${other.table.name}" AS ${other.alias} WHERE ${link}${inner}${sql.dialect.related})`
    }
    default:
      return `${operand(sql, from, where.column)} ${comparisons[where.op]} ${compared(sql, from, where.column, where.value)}`
  }
}

const chain = (operands: ReadonlyArray<string>, operator: string): string => {
  if (operands.length <= maxChain) return `(${operands.join(operator)})`
  const parts: Array<string> = []
  for (let i = 0; i < operands.length; i += maxChain) parts.push(`(${operands.slice(i, i + maxChain).join(operator)})`)
  return chain(parts, operator)
}

const oneOf = (sql: Sql, from: Aliased, name: string, values: ReadonlyArray<string | number | boolean>): string => {
  const column = AdapterSchema.columnOf(from.table, name)
  if (values.length === 0) return "FALSE"
  return sql.dialect.oneOf(
    sql,
    column,
    operand(sql, from, name),
    values.map((value) => AdapterSchema.comparable(column, value))
  )
}

/** A range, which an index serves, and not LIKE, which on SQLite ignores case. */
const startsWith = (sql: Sql, from: Aliased, column: string, prefix: string): string => {
  const isOther = from.related === true || from.found === true
  const value = valueOf(sql, from, column)
  const name = isOther ? sql.dialect.unindexed(value) : value
  if (prefix === "") return `${name} IS NOT NULL`
  const from1 = `${name} >= ${compared(sql, from, column, prefix)}`
  const end = afterPrefix(prefix)
  return end === undefined ? from1 : `(${from1} AND ${name} < ${compared(sql, from, column, end)})`
}

/** The first text after all that start with the prefix, if there is one. */
const afterPrefix = (prefix: string): string | undefined => {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0)
  while (points.length > 0) {
    const last = points.pop() ?? 0
    if (last === 0x10ffff) continue
    // The code points of surrogates are no characters.
    return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
  }
  return undefined
}

/** The SQL of rows strictly after a position. `notNull` are columns known to hold no null in these rows. */
export const afterPosition = (
  sql: Sql,
  from: Aliased,
  orderBy: ReadonlyArray<OrderBy>,
  after: ReadonlyArray<Value>,
  notNull: ReadonlyArray<string>
): string => {
  const columns = orderBy.map(({ column }) => AdapterSchema.columnOf(from.table, column))
  const nullable = columns.map(({ name, nullable }) => nullable && !notNull.includes(name))
  const direction = orderBy[0]?.direction
  if (!nullable.includes(true) && !after.includes(null) && orderBy.every((order) => order.direction === direction)) {
    const names = columns.map(({ name }) => valueOf(sql, from, name))
    const marks = columns.map(({ name }, i) => compared(sql, from, name, after[i]))
    return `(${names.join(", ")}) ${direction === "desc" ? "<" : ">"} (${marks.join(", ")})`
  }
  const rest = (index: number): string => {
    const order = orderBy[index]
    const value = after[index] ?? null
    if (order === undefined) return "FALSE"
    const name = valueOf(sql, from, order.column)
    if (value === null) return `(${name} IS NULL AND ${rest(index + 1)})`
    const beyond = `${name} ${order.direction === "desc" ? "<" : ">"} ${compared(sql, from, order.column, value)}`
    const last = nullable[index] === true ? ` OR ${name} IS NULL` : ""
    return `(${beyond}${last} OR (${name} = ${compared(sql, from, order.column, value)} AND ${rest(index + 1)}))`
  }
  return rest(0)
}
