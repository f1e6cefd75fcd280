/**
 * The `DBAdapter` that keeps rows in memory: for tests, for trying things out, and as the plain meaning that the
 * conformance suite compares other adapters with.
 *
 * Every operation is one synchronous step, so units of work never see each other half done. Rows are gone when the
 * adapter is. Conditions on the primary key or on a foreign key are looked up; everything else reads the whole table,
 * which is why a long history belongs in a database.
 */
import { Effect, Layer } from "effect"
import * as AdapterSchema from "./AdapterSchema.ts"
import { coreSchema } from "./CoreSchema.ts"
import {
  DBAdapter,
  DBError,
  type DBSchema,
  type FindOptions,
  type Group,
  type RelatedRows,
  type Row,
  type SetValue,
  type Value,
  type Where,
  WriteConflict,
  type WriteOperation
} from "./DBAdapter.ts"
import * as Doorbell from "./Doorbell.ts"
import { completeRow, makeMemoryTable, type MemoryTable, withGenerated } from "./internal/memoryTable.ts"
import { afterPosition, compareGroups, groupKeys, predicate, rowOrder } from "./internal/memoryWhere.ts"

/** An empty database with the tables of the schema. */
export const make = (schema: DBSchema = coreSchema): DBAdapter["Service"] => {
  const tables = AdapterSchema.compile(schema)
  const stores = new Map([...tables.values()].map((table) => [table.name, makeMemoryTable(table)]))

  const storeOf = (name: string): MemoryTable =>
    stores.get(AdapterSchema.tableOf(tables, name).name) ?? makeMemoryTable(AdapterSchema.tableOf(tables, name))
  const lookup = (table: string, column: string, value: Value) => storeOf(table).lookup(column, value)

  const select = (name: string, where: Where | undefined): Array<Row> => {
    const store = storeOf(name)
    const test = predicate(tables, store.table, where, lookup)
    const selected: Array<Row> = []
    for (const row of candidates(store, where) ?? store.rows.values()) if (test(row)) selected.push(row)
    return selected
  }

  const find = (options: FindOptions): ReadonlyArray<Row> => {
    const { table } = storeOf(options.table)
    AdapterSchema.checkLimit(options.limit)
    const orderBy = options.orderBy ?? []
    const columns = options.select?.map((name) => AdapterSchema.columnOf(table, name).name)
    let rows = select(options.table, options.where)
    if (options.after !== undefined) rows = rows.filter(afterPosition(table, orderBy, options.after))
    if (orderBy.length > 0) rows.sort(rowOrder(table, orderBy))
    if (options.limit !== undefined) rows = rows.slice(0, options.limit)
    return columns === undefined ? rows : rows.map((row) => pick(row, columns))
  }

  const countBy: DBAdapter["Service"]["countBy"] = (options) =>
    attempt(() => {
      const { table } = storeOf(options.table)
      AdapterSchema.checkLimit(options.limit)
      const distinct = options.distinct === undefined ? undefined : AdapterSchema.columnOf(table, options.distinct).name
      const keysOf = groupKeys(table, options.by)
      const summed = options.sum?.map((name) => AdapterSchema.summable(table, name).name)
      const groups = new Map<string, { readonly keys: ReadonlyArray<Value>; readonly rows: Array<Row> }>()
      for (const row of select(options.table, options.where)) {
        const keys = keysOf(row)
        const name = JSON.stringify(keys)
        const group = groups.get(name) ?? { keys, rows: [] }
        groups.set(name, group)
        group.rows.push(row)
      }
      const result = [...groups.values()].map(({ keys, rows }): Group => {
        const values = new Set<unknown>(distinct === undefined ? rows : rows.map((row) => row[distinct] ?? null))
        values.delete(null)
        return { keys, count: values.size, ...(summed && { sums: summed.map((name) => sumOf(rows, name)) }) }
      })
      return result.toSorted(compareGroups).slice(0, options.limit)
    })

  const checkForeignKeys = (store: MemoryTable, row: Row): void => {
    for (const { column, references, table } of store.table.schema.foreignKeys ?? []) {
      const value = row[column] ?? null
      if (value === null || [...lookup(table, references, value)].length > 0) continue
      throw new DBError({
        message: `"${store.table.name}.${column}" names no row of "${table}".`,
        reason: "foreignKey"
      })
    }
  }

  const removeWithChildren = (store: MemoryTable, row: Row, undo: Array<() => void>): void => {
    for (const child of stores.values()) {
      for (const { column, onDelete, references, table } of child.table.schema.foreignKeys ?? []) {
        if (table !== store.table.name) continue
        for (const related of child.lookup(column, row[references] ?? null)) {
          if (onDelete === "restrict") throw stillReferred(child.table.name, column)
          removeWithChildren(child, related, undo)
        }
      }
    }
    store.remove(row)
    undo.push(() => store.insert(row))
  }

  const replaceRow = (store: MemoryTable, old: Row, row: Row, undo: Array<() => void>): void => {
    store.replace(old, row)
    undo.push(() => store.replace(row, old))
    checkForeignKeys(store, row)
  }

  const insertRows = (
    store: MemoryTable,
    { given, onConflict, rows }: Extract<WriteOperation, { readonly op: "insert" }>,
    undo: Array<() => void>
  ): number => {
    if (given !== undefined && select(given.table, given.where).length === 0) return 0
    let written = 0
    for (const input of rows) {
      const row = completeRow(store.table, input)
      const old = onConflict === undefined ? undefined : store.get(row)
      if (old === undefined) {
        store.insert(row)
        undo.push(() => store.remove(row))
        checkForeignKeys(store, row)
      } else if (onConflict === "update") {
        replaceRow(store, old, withGenerated(store.table, { ...old, ...pick(row, Object.keys(input)) }), undo)
      } else continue
      written++
    }
    return written
  }

  const apply = (operation: WriteOperation, undo: Array<() => void>): number => {
    const store = storeOf(operation.table)
    if (operation.op === "insert") return insertRows(store, operation, undo)
    const selected = select(operation.table, operation.where)
    if (operation.op === "delete") {
      for (const row of selected) removeWithChildren(store, row, undo)
      return selected.length
    }
    const change = changes(store.table, operation.set, (related, row) => {
      const test = predicate(tables, storeOf(related.table).table, related.where, lookup)
      const local = AdapterSchema.columnOf(store.table, related.local).name
      const foreign = AdapterSchema.columnOf(storeOf(related.table).table, related.foreign).name
      return [...lookup(related.table, foreign, row[local] ?? null)].filter(test)
    })
    for (const old of selected) replaceRow(store, old, change(old), undo)
    return selected.length
  }

  const write: DBAdapter["Service"]["write"] = (operations) =>
    Effect.suspend(() => {
      const undo: Array<() => void> = []
      try {
        return Effect.succeed(
          operations.map((operation, index) => {
            const changed = apply(operation, undo)
            if (operation.expect !== undefined && operation.expect !== changed) {
              throw conflict(operation.table, index, operation.expect, changed)
            }
            return changed
          })
        )
      } catch (error) {
        while (undo.length > 0) undo.pop()?.()
        if (error instanceof DBError || error instanceof WriteConflict) return Effect.fail(error)
        throw error
      }
    })

  const { rings, watch } = Doorbell.make()
  return DBAdapter.of({
    schema,
    keepsRollups: false,
    find: (options) => attempt(() => find(options)),
    count: (options) => attempt(() => select(options.table, options.where).length),
    countBy,
    write: watch(write),
    freed: rings
  })
}

/** An empty database with the tables of the system. */
export const layer: Layer.Layer<DBAdapter> = Layer.sync(DBAdapter, () => make())

const attempt = <A>(evaluate: () => A): Effect.Effect<A, DBError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (error) {
      if (error instanceof DBError) return Effect.fail(error)
      throw error
    }
  })

const stillReferred = (table: string, column: string) =>
  new DBError({ message: `A row cannot be deleted while "${table}.${column}" refers to it.`, reason: "foreignKey" })

const conflict = (table: string, operation: number, expected: number, changed: number) =>
  new WriteConflict({
    message: `Expected to change ${expected} rows of "${table}", and found ${changed}. Nothing was written.`,
    operation,
    expected,
    changed
  })

const sumOf = (rows: Iterable<Row>, column: string): number => {
  let sum = 0
  for (const row of rows) sum += Number(row[column] ?? 0)
  return sum
}

const pick = (row: Row, columns: ReadonlyArray<string>): Row =>
  Object.fromEntries(columns.map((name) => [name, row[name] ?? null]))

/** Rows that an indexed column narrows a condition to, or `undefined` where none does. */
const candidates = (store: MemoryTable, where: Where | undefined): Iterable<Row> | undefined => {
  if (where === undefined) return undefined
  if (where.op === "eq" && store.isIndexed(where.column)) return store.lookup(where.column, where.value)
  if (where.op === "in" && store.isIndexed(where.column)) {
    return [...new Set(where.values)].flatMap((value) => [...store.lookup(where.column, value)])
  }
  if (where.op !== "and") return undefined
  for (const condition of where.conditions) {
    const rows = candidates(store, condition)
    if (rows !== undefined) return rows
  }
  return undefined
}

/** The function from a row to the row with the changes; throws a {@link DBError} if they do not fit the schema. */
const changes = (
  table: AdapterSchema.Table,
  set: { readonly [column: string]: SetValue },
  relatedRows: (related: RelatedRows, row: Row) => ReadonlyArray<Row>
): ((row: Row) => Row) => {
  const constants: Record<string, Value> = {}
  const increments: Array<readonly [column: AdapterSchema.Column, by: number]> = []
  const computed: Array<readonly [column: AdapterSchema.Column, of: (row: Row) => number]> = []
  for (const [name, value] of Object.entries(set)) {
    if (value !== null && typeof value === "object") {
      const column = AdapterSchema.settable(table, name, true)
      if ("increment" in value) increments.push([column, value.increment])
      else if ("countOf" in value) computed.push([column, (row) => relatedRows(value.countOf, row).length])
      else {
        const sum = (row: Row) => (of: (typeof value.sumOf)[number]) => sumOf(relatedRows(of, row), of.column)
        computed.push([column, (row) => value.sumOf.map(sum(row)).reduce((total, part) => total + part, 0)])
      }
    } else {
      const column = AdapterSchema.settable(table, name, false)
      constants[name] = AdapterSchema.storable(column, value)
    }
  }
  return (row) => {
    const changed: Record<string, Value> = { ...row, ...constants }
    for (const [column, by] of increments) {
      const value = row[column.name] ?? null
      changed[column.name] = value === null ? null : AdapterSchema.storable(column, Number(value) + by)
    }
    for (const [column, of] of computed) changed[column.name] = of(row)
    return withGenerated(table, changed)
  }
}
