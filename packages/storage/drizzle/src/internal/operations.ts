/**
 * Writing on SQLite: the operations of a unit of work as prepared statements.
 */
import { AdapterSchema, type Row, type Where, type WriteOperation } from "@executor/sdk"
import { deleteText, insertText, type Operation, updateText, writeConflict } from "./changes.ts"
import { type Dialect, startSql } from "./dialect.ts"
import type { PackedTexts } from "./packedText.ts"
import { packingDialect, sqliteDialect } from "./sqliteDialect.ts"
import type { Statements } from "./statements.ts"

/**
 * Runs a unit inside the transaction that there is, with its long texts as they are stored; throws `WriteConflict`, or what
 * the database throws.
 */
export const runUnit = (
  statements: Statements,
  operations: ReadonlyArray<WriteOperation>,
  texts: PackedTexts
): ReadonlyArray<number> => {
  const dialect = packingDialect(texts)
  return operations.map((operation, index) => {
    const changed = runOperation(statements, operation, dialect)
    if (operation.expect === undefined || operation.expect === changed) return changed
    throw writeConflict(operation, index, changed)
  })
}

/**
 * Whether a unit needs no transaction of its own: a single statement, which SQLite itself undoes when it fails, and which
 * has changed nothing where it did not change what was expected.
 */
export const isOneStatement = (tables: AdapterSchema.Tables, operations: ReadonlyArray<WriteOperation>): boolean => {
  const [operation] = operations
  if (operation === undefined || operations.length > 1) return false
  const { expect } = operation
  if (operation.op === "insert") return operation.rows.length === 1 && (expect === undefined || expect === 1)
  return expect === undefined || (expect === 1 && changesAtMostOne(tables, operation))
}

const changesAtMostOne = (tables: AdapterSchema.Tables, { table, where }: Operation<"update" | "delete">): boolean => {
  const pins = (name: string, condition: Where = where): boolean =>
    condition.op === "and"
      ? condition.conditions.some((part) => pins(name, part))
      : condition.op === "eq" && condition.column === name
  return tables.get(table)?.schema.primaryKey.every((name) => pins(name)) ?? false
}

const runOperation = (statements: Statements, operation: WriteOperation, dialect: Dialect): number => {
  if (operation.op === "insert") return insert(statements, operation, dialect)
  const sql = startSql(dialect, statements.tables)
  if (operation.op === "delete") return statements.run(deleteText(sql, operation), sql.parameters)
  const text = updateText(sql, operation)
  return text.startsWith("SELECT") ? statements.all(text, sql.parameters).length : statements.run(text, sql.parameters)
}

const insert = (statements: Statements, operation: Operation<"insert">, dialect: Dialect): number => {
  const table = AdapterSchema.tableOf(statements.tables, operation.table)
  const isPlain = operation.given === undefined && operation.onConflict === undefined
  let written = 0
  for (const row of operation.rows) {
    AdapterSchema.checkColumns(table, row)
    const sql = startSql(dialect, statements.tables)
    for (const column of table.written) {
      dialect.stored(sql, column, AdapterSchema.storable(column, row[column.name]))
    }
    const text = isPlain ? plainInsert(table) : insertText(sql, table, source(table, operation), row, operation)
    written += statements.run(text, sql.parameters)
  }
  return written
}

const source = (table: AdapterSchema.Table, { given }: Pick<Operation<"insert">, "given">): string => {
  const marks = table.written.map(() => "?").join(", ")
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
