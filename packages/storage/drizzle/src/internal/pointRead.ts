/**
 * Which reads are so short that another thread would cost more than they do: single rows, and short lists that an index
 * gives in their order. It looks at the request alone, and takes what it cannot judge for long.
 */
import type { AdapterSchema, Where } from "@executor/sdk"
import type { ReadRequest } from "./reads.ts"

/** The way to another thread and back takes as long as reading about this many rows. */
const shortList = 10

/** Whether a request reads few rows, however large the table. */
export const isPointRead = (tables: AdapterSchema.Tables, { op, options }: ReadRequest): boolean => {
  if (op !== "find") return false
  const schema = tables.get(options.table)?.schema
  if (schema === undefined || options.where === undefined) return false
  const fixed = new Set<string>()
  if (!collectFixed(options.where, fixed)) return false
  const isFixed = (column: string): boolean => fixed.has(column)
  const indexes = [{ columns: schema.primaryKey, unique: true }, ...schema.indexes]
  if (indexes.some(({ columns, unique }) => unique === true && columns.every(isFixed))) return true
  const { limit, orderBy = [] } = options
  if (limit === undefined || limit > shortList) return false
  // The rows that are part of another row are few, so what else is asked of them costs little.
  const parents = schema.foreignKeys?.filter(({ onDelete }) => onDelete !== "restrict") ?? []
  return indexes.some(({ columns }) => {
    const [first = ""] = columns
    if (!isFixed(first) || !parents.some(({ column }) => column === first)) return false
    const ordered = orderBy.filter(({ column }) => !isFixed(column))
    const rest = columns.slice(columns.findIndex((column) => !isFixed(column)))
    return ordered.every(({ column, direction }, i) => column === rest[i] && direction === ordered[0]?.direction)
  })
}

/** Adds the columns that are compared with one value; gives whether the condition is made of such comparisons alone. */
const collectFixed = (where: Where, fixed: Set<string>): boolean => {
  switch (where.op) {
    case "and":
      return where.conditions.every((condition) => collectFixed(condition, fixed))
    case "eq":
      fixed.add(where.column)
      return true
    case "in":
      if (where.values.length === 1) fixed.add(where.column)
      return true
    case "or":
    case "not":
    case "exists":
    case "contains":
      return false
    default:
      return true
  }
}
