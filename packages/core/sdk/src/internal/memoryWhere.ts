/**
 * Conditions, orders and groups of `DBAdapter` as functions over rows: the plain meaning that every database is
 * compared with.
 */
import {
  columnOf,
  comparable,
  checkAfter,
  checkBucket,
  tableOf,
  type Column,
  type Table,
  type Tables
} from "../AdapterSchema.ts"
import type { GroupBy, OrderBy, Row, Value, Where } from "../DBAdapter.ts"

/** Whether a row fulfils a condition. */
export type Predicate = (row: Row) => boolean

/** The rows of a table whose column has a value, for conditions on related rows. */
export type Lookup = (table: string, column: string, value: Value) => Iterable<Row>

/** UTF-16 puts surrogates below U+E000; this restores the order of code points. */
const codePointRank = (unit: number): number => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit)

/** Compares text by code points. */
export const compareText = (left: string, right: string): number => {
  if (left === right) return 0
  const length = Math.min(left.length, right.length)
  for (let i = 0; i < length; i++) {
    const a = left.charCodeAt(i)
    const b = right.charCodeAt(i)
    if (a !== b) return codePointRank(a) - codePointRank(b)
  }
  return left.length - right.length
}

/** Compares two values of the same column, neither of them null. */
const compareValues = (left: Exclude<Value, null>, right: Exclude<Value, null>): number =>
  typeof left === "string" && typeof right === "string" ? compareText(left, right) : Number(left) - Number(right)

const lowerAscii = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

const comparisons = {
  eq: (order: number) => order === 0,
  ne: (order: number) => order !== 0,
  lt: (order: number) => order < 0,
  lte: (order: number) => order <= 0,
  gt: (order: number) => order > 0,
  gte: (order: number) => order >= 0
}

const textColumn = (table: Table, name: string): Column => {
  const column = columnOf(table, name)
  comparable(column, column.type === "text" ? "" : undefined)
  return column
}

/** The function of a condition; throws a `DBError` if it does not fit the schema. */
export const predicate = (tables: Tables, table: Table, where: Where | undefined, lookup: Lookup): Predicate => {
  if (where === undefined) return () => true
  switch (where.op) {
    case "and":
    case "or": {
      const all = where.conditions.map((condition) => predicate(tables, table, condition, lookup))
      return where.op === "and" ? (row) => all.every((test) => test(row)) : (row) => all.some((test) => test(row))
    }
    case "not": {
      const test = predicate(tables, table, where.condition, lookup)
      return (row) => !test(row)
    }
    case "mayContain":
      return () => true
    case "isNull":
    case "isNotNull": {
      const { name } = columnOf(table, where.column)
      return where.op === "isNull" ? (row) => row[name] === null : (row) => row[name] !== null
    }
    case "in": {
      const column = columnOf(table, where.column)
      const values = new Set<Value>(where.values.map((value) => comparable(column, value)))
      return (row) => values.has(row[column.name] ?? null)
    }
    case "contains": {
      const { name } = textColumn(table, where.column)
      const value = lowerAscii(where.value.toWellFormed())
      return (row) => {
        const text = row[name]
        return typeof text === "string" && lowerAscii(text).includes(value)
      }
    }
    case "startsWith":
    case "endsWith": {
      const { name } = textColumn(table, where.column)
      const value = where.value.toWellFormed()
      const method = where.op
      return (row) => {
        const text = row[name]
        return typeof text === "string" && text[method](value)
      }
    }
    case "exists": {
      const { name } = columnOf(table, where.local)
      const other = tableOf(tables, where.table)
      const foreign = columnOf(other, where.foreign).name
      const test = predicate(tables, other, where.where, lookup)
      return (row) => {
        const local = row[name] ?? null
        if (local === null) return false
        for (const related of lookup(other.name, foreign, local)) if (test(related)) return true
        return false
      }
    }
    default: {
      const column = columnOf(table, where.column)
      const value = comparable(column, where.value)
      const holds = comparisons[where.op]
      return (row) => {
        const actual = row[column.name] ?? null
        return actual !== null && holds(compareValues(actual, value))
      }
    }
  }
}

const compareNullable = (left: Value, right: Value, direction: "asc" | "desc"): number => {
  if (left === null || right === null) return left === right ? 0 : left === null ? 1 : -1
  return direction === "asc" ? compareValues(left, right) : compareValues(right, left)
}

/** Compares the values of two positions in an order. */
const comparePositions = (
  orderBy: ReadonlyArray<OrderBy>,
  left: (index: number) => Value,
  right: (index: number) => Value
): number => {
  for (let i = 0; i < orderBy.length; i++) {
    const result = compareNullable(left(i), right(i), orderBy[i]?.direction ?? "asc")
    if (result !== 0) return result
  }
  return 0
}

/** The order of rows; throws a `DBError` if it does not fit the schema. */
export const rowOrder = (table: Table, orderBy: ReadonlyArray<OrderBy>): ((left: Row, right: Row) => number) => {
  const names = orderBy.map(({ column }) => columnOf(table, column).name)
  return (left, right) =>
    comparePositions(
      orderBy,
      (i) => left[names[i] ?? ""] ?? null,
      (i) => right[names[i] ?? ""] ?? null
    )
}

/** Whether a row comes strictly after a position of the order. */
export const afterPosition = (
  table: Table,
  orderBy: ReadonlyArray<OrderBy>,
  after: ReadonlyArray<Value>
): Predicate => {
  checkAfter(orderBy, after)
  const names = orderBy.map(({ column }) => columnOf(table, column))
  const position = after.map((value, i) => (value === null ? null : comparable(names[i] as Column, value)))
  return (row) =>
    comparePositions(
      orderBy,
      (i) => row[names[i]?.name ?? ""] ?? null,
      (i) => position[i] ?? null
    ) > 0
}

/** The keys of the group that a row belongs to. */
export const groupKeys = (table: Table, by: ReadonlyArray<GroupBy>): ((row: Row) => ReadonlyArray<Value>) => {
  const keys = by.map((group) => {
    if ("column" in group) {
      const { name } = columnOf(table, group.column)
      return (row: Row) => row[name] ?? null
    }
    if ("notNull" in group) {
      const { name } = columnOf(table, group.notNull)
      return (row: Row) => row[name] !== null
    }
    const { size } = group.bucket
    const column = columnOf(table, group.bucket.column)
    checkBucket(column, size)
    return (row: Row) => {
      const value = row[column.name]
      return typeof value === "number" ? Math.floor(value / size) * size : null
    }
  })
  return (row) => keys.map((key) => key(row))
}

/** Largest count first, then by keys with nulls last. */
export const compareGroups = (
  left: { readonly keys: ReadonlyArray<Value>; readonly count: number },
  right: { readonly keys: ReadonlyArray<Value>; readonly count: number }
): number => {
  if (left.count !== right.count) return right.count - left.count
  for (let i = 0; i < left.keys.length; i++) {
    const result = compareNullable(left.keys[i] ?? null, right.keys[i] ?? null, "asc")
    if (result !== 0) return result
  }
  return 0
}
