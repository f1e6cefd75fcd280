/**
 * Conditions and positions of `DBAdapter` as SQL for SQLite.
 *
 * The text depends only on the shape of a condition, every value is a parameter, so that few prepared statements serve
 * many requests. SQL's third truth value never gets out: `IS NOT TRUE` takes it for false where a condition is negated,
 * and everywhere else it selects nothing, as false does.
 */
import { AdapterSchema, type OrderBy, type Value, type Where } from "@executor/sdk"

/** A value as better-sqlite3 binds it. */
export type Parameter = string | number | null

/** SQL in the making: its parameters in the order of the text, and how many tables have been named. */
export interface Sql {
  readonly tables: AdapterSchema.Tables
  readonly parameters: Array<Parameter>
  aliases: number
}

/** A table under the name that it has in the statement. */
export interface Aliased {
  readonly table: AdapterSchema.Table
  readonly alias: string
  /** Whether it is looked up for each row of another table. */
  readonly related?: boolean
}

/** SQLite refuses statements with more parameters than this. */
const maxValues = 32_000

/** SQLite takes a chain of 1000 operands for too deep a tree, so long ones are put in brackets. */
const maxChain = 100

const comparisons = { eq: "=", ne: "<>", lt: "<", lte: "<=", gt: ">", gte: ">=" } as const

/** The next table of the statement. */
export const aliased = (sql: Sql, table: AdapterSchema.Table): Aliased => ({ table, alias: `t${sql.aliases++}` })

/** A column of a table of the statement. */
export const reference = ({ alias, table }: Aliased, name: string): string =>
  `${alias}."${AdapterSchema.columnOf(table, name).name}"`

/** A value as it is bound. */
export const bind = (value: Value): Parameter => (typeof value === "boolean" ? Number(value) : value)

const compared = (sql: Sql, { table }: Aliased, name: string, value: unknown): "?" => {
  sql.parameters.push(bind(AdapterSchema.comparable(AdapterSchema.columnOf(table, name), value)))
  return "?"
}

/** The SQL of a condition; throws a `DBError` if it does not fit the schema. */
export const condition = (sql: Sql, from: Aliased, where: Where): string => {
  switch (where.op) {
    case "and":
    case "or":
      if (where.conditions.length === 0) return where.op === "and" ? "1" : "0"
      return chain(
        where.conditions.map((inner) => condition(sql, from, inner)),
        where.op === "and" ? " AND " : " OR "
      )
    case "not":
      return `(${condition(sql, from, where.condition)}) IS NOT TRUE`
    case "isNull":
      return `${reference(from, where.column)} IS NULL`
    case "isNotNull":
      return `${reference(from, where.column)} IS NOT NULL`
    case "in":
      return oneOf(sql, from, where.column, where.values)
    case "contains": {
      const column = reference(from, where.column)
      const value = where.value.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
      return `instr(lower(${column}), ${compared(sql, from, where.column, value)}) > 0`
    }
    case "startsWith":
      return startsWith(sql, from, where.column, where.value.toWellFormed())
    case "endsWith": {
      // As bytes, because SQLite's length of a text ends at a NUL.
      const column = reference(from, where.column)
      const bytes = new TextEncoder().encode(where.value).length
      if (bytes === 0) return `${column} IS NOT NULL`
      sql.parameters.push(-bytes)
      return `substr(CAST(${column} AS BLOB), ?) = CAST(${compared(sql, from, where.column, where.value)} AS BLOB)`
    }
    case "exists": {
      const other = { ...aliased(sql, AdapterSchema.tableOf(sql.tables, where.table)), related: true }
      const link = `${reference(other, where.foreign)} = ${reference(from, where.local)}`
      const inner = where.where === undefined ? "" : ` AND (${condition(sql, other, where.where)})`
      return `EXISTS (SELECT 1 FROM "${other.table.name}" AS ${other.alias} WHERE ${link}${inner})`
    }
    default:
      return `${reference(from, where.column)} ${comparisons[where.op]} ${compared(sql, from, where.column, where.value)}`
  }
}

const chain = (operands: ReadonlyArray<string>, operator: string): string => {
  if (operands.length <= maxChain) return `(${operands.join(operator)})`
  const parts: Array<string> = []
  for (let i = 0; i < operands.length; i += maxChain) parts.push(`(${operands.slice(i, i + maxChain).join(operator)})`)
  return chain(parts, operator)
}

const oneOf = (sql: Sql, from: Aliased, column: string, values: ReadonlyArray<string | number | boolean>): string => {
  const name = reference(from, column)
  if (values.length === 0) return "0"
  if (sql.parameters.length + values.length > maxValues) {
    throw AdapterSchema.refuse(
      `A condition can have at most ${maxValues} values, and "${column}" has ${values.length}.`
    )
  }
  // Filled up to a power of two with the last value, so that lists of any length share few statements.
  const count = Math.min(2 ** Math.ceil(Math.log2(values.length)), maxValues)
  const marks = Array.from({ length: count }, (_, i) => compared(sql, from, column, values[i] ?? values.at(-1)))
  return `${name} IN (${marks.join(", ")})`
}

/**
 * A range, which an index serves, and not LIKE, which ignores case. For a related row, SQLite would take that index
 * rather than the one that leads from row to row; the plus sign keeps it from doing so.
 */
const startsWith = (sql: Sql, from: Aliased, column: string, prefix: string): string => {
  const name = `${from.related === true ? "+" : ""}${reference(from, column)}`
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
    const names = columns.map(({ name }) => reference(from, name))
    const marks = columns.map(({ name }, i) => compared(sql, from, name, after[i]))
    return `(${names.join(", ")}) ${direction === "desc" ? "<" : ">"} (${marks.join(", ")})`
  }
  const rest = (index: number): string => {
    const order = orderBy[index]
    const value = after[index] ?? null
    if (order === undefined) return "0"
    const name = reference(from, order.column)
    if (value === null) return `(${name} IS NULL AND ${rest(index + 1)})`
    const beyond = `${name} ${order.direction === "desc" ? "<" : ">"} ${compared(sql, from, order.column, value)}`
    const last = nullable[index] === true ? ` OR ${name} IS NULL` : ""
    return `(${beyond}${last} OR (${name} = ${compared(sql, from, order.column, value)} AND ${rest(index + 1)}))`
  }
  return rest(0)
}
