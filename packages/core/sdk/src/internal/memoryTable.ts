/**
 * The rows of one table in memory: by primary key, checked for uniqueness, and indexed by the columns that related rows
 * are found by.
 *
 * Stored rows are never changed in place: an update puts a new object, so a row that was handed out stays as it was.
 */
import { checkColumns, generate, storable, type Table, uniqueMessage } from "../AdapterSchema.ts"
import { DBError, type Row, type Value } from "../DBAdapter.ts"

/** The rows of one table. */
export interface MemoryTable {
  readonly table: Table
  readonly rows: ReadonlyMap<string, Row>
  /** The rows whose column has this value; a scan if the column has no index. */
  readonly lookup: (column: string, value: Value) => Iterable<Row>
  readonly isIndexed: (column: string) => boolean
  /** The row with the primary key of this one. */
  readonly get: (row: Row) => Row | undefined
  /** Adds a row; throws a `DBError` if it does not fit or repeats a unique value. */
  readonly insert: (row: Row) => void
  /** Puts the new row in place of the old one; throws as `insert` does. */
  readonly replace: (old: Row, row: Row) => void
  readonly remove: (row: Row) => void
}

/** A complete row: every column of the table, checked. */
export const completeRow = (table: Table, row: Row): Row => {
  checkColumns(table, row)
  const complete: Record<string, Value> = {}
  for (const column of table.written) complete[column.name] = storable(column, row[column.name])
  return withGenerated(table, complete)
}

/** The row with its generated columns made anew. */
export const withGenerated = (table: Table, row: Row): Row => {
  const complete: Record<string, Value> = { ...row }
  for (const { generated, name } of table.columnList)
    if (generated !== undefined) complete[name] = generate(generated, row)
  return complete
}

const keyOf = (row: Row, columns: ReadonlyArray<string>): string => JSON.stringify(columns.map((name) => row[name]))

export const makeMemoryTable = (table: Table): MemoryTable => {
  const { primaryKey } = table.schema
  const rows = new Map<string, Row>()
  const unique = table.schema.indexes
    .filter((index) => index.unique === true)
    .map(({ columns }) => ({ columns, keys: new Map<string, Row>() }))
  const indexes = new Map<string, Map<Value, Set<Row>>>()
  if (primaryKey.length === 1 && primaryKey[0] !== undefined) indexes.set(primaryKey[0], new Map())
  for (const { column } of table.schema.foreignKeys ?? []) indexes.set(column, new Map())

  const checkUnique = (row: Row, old: Row | undefined): void => {
    const holder = rows.get(keyOf(row, primaryKey))
    if (holder !== undefined && holder !== old) throw duplicate(primaryKey)
    for (const { columns, keys } of unique) {
      if (columns.some((name) => row[name] === null)) continue
      const other = keys.get(keyOf(row, columns))
      if (other !== undefined && other !== old) throw duplicate(columns)
    }
  }
  const duplicate = (columns: ReadonlyArray<string>) =>
    new DBError({ message: uniqueMessage(table.name, columns), reason: "unique" })

  const add = (row: Row): void => {
    rows.set(keyOf(row, primaryKey), row)
    for (const { columns, keys } of unique) {
      if (columns.every((name) => row[name] !== null)) keys.set(keyOf(row, columns), row)
    }
    for (const [column, index] of indexes) {
      const value = row[column] ?? null
      const bucket = index.get(value)
      if (bucket === undefined) index.set(value, new Set([row]))
      else bucket.add(row)
    }
  }
  const unindex = (row: Row): void => {
    for (const { columns, keys } of unique) keys.delete(keyOf(row, columns))
    for (const [column, index] of indexes) {
      const value = row[column] ?? null
      const bucket = index.get(value)
      bucket?.delete(row)
      if (bucket?.size === 0) index.delete(value)
    }
  }

  return {
    table,
    rows,
    isIndexed: (column) => indexes.has(column),
    get: (row) => rows.get(keyOf(row, primaryKey)),
    lookup: (column, value) => {
      const index = indexes.get(column)
      if (index !== undefined) return index.get(value) ?? []
      return [...rows.values()].filter((row) => row[column] === value)
    },
    insert: (row) => {
      checkUnique(row, undefined)
      add(row)
    },
    replace: (old, row) => {
      checkUnique(row, old)
      unindex(old)
      add(row)
    },
    remove: (row) => {
      unindex(row)
      rows.delete(keyOf(row, primaryKey))
    }
  }
}
