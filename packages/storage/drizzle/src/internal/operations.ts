/**
 * Writing on SQLite: the operations of a unit of work as prepared statements.
 */
import { AdapterSchema, type Row, type WriteOperation } from "@executor/sdk"
import { deleteText, insertText, type Operation, updateText, writeConflict } from "./changes.ts"
import { startSql } from "./dialect.ts"
import { sqliteDialect } from "./sqliteDialect.ts"
import type { Statements } from "./statements.ts"

/** Runs a unit inside the transaction that there is; throws `WriteConflict`, or what the database throws. */
export const runUnit = (statements: Statements, operations: ReadonlyArray<WriteOperation>): ReadonlyArray<number> =>
  operations.map((operation, index) => {
    const changed = runOperation(statements, operation)
    if (operation.expect === undefined || operation.expect === changed) return changed
    throw writeConflict(operation, index, changed)
  })

/** Whether a unit is undone by SQLite itself when it fails, and so needs no transaction of its own. */
export const isOneStatement = (operations: ReadonlyArray<WriteOperation>): boolean => {
  const [operation] = operations
  if (operation === undefined || operations.length > 1 || operation.expect !== undefined) return false
  return operation.op !== "insert" || operation.rows.length === 1
}

const runOperation = (statements: Statements, operation: WriteOperation): number => {
  if (operation.op === "insert") return insert(statements, operation)
  const sql = startSql(sqliteDialect, statements.tables)
  if (operation.op === "delete") return statements.run(deleteText(sql, operation), sql.parameters)
  const text = updateText(sql, operation)
  return text.startsWith("SELECT") ? statements.all(text, sql.parameters).length : statements.run(text, sql.parameters)
}

const insert = (statements: Statements, operation: Operation<"insert">): number => {
  const table = AdapterSchema.tableOf(statements.tables, operation.table)
  const isPlain = operation.given === undefined && operation.onConflict === undefined
  let written = 0
  for (const row of operation.rows) {
    AdapterSchema.checkColumns(table, row)
    const sql = startSql(sqliteDialect, statements.tables)
    for (const column of table.columnList) {
      sqliteDialect.value(sql, AdapterSchema.storable(column, row[column.name]))
    }
    const text = isPlain ? plainInsert(table) : insertText(sql, table, source(table, operation), row, operation)
    written += statements.run(text, sql.parameters)
  }
  return written
}

const source = (table: AdapterSchema.Table, { given }: Pick<Operation<"insert">, "given">): string => {
  const marks = table.columnList.map(() => "?").join(", ")
  return given === undefined ? `VALUES (${marks})` : `SELECT ${marks}`
}

const plainInserts = new WeakMap<AdapterSchema.Table, string>()

const plainInsert = (table: AdapterSchema.Table): string => {
  const known = plainInserts.get(table)
  if (known !== undefined) return known
  const row: Row = {}
  const text = insertText(startSql(sqliteDialect, new Map()), table, source(table, {}), row, {})
  plainInserts.set(table, text)
  return text
}
