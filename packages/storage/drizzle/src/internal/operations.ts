/**
 * Writing: the operations of a unit of work as prepared statements.
 */
import { AdapterSchema, WriteConflict, type WriteOperation } from "@executor/sdk"
import { aliased, bind, condition, type Parameter, type Sql } from "./conditions.ts"
import type { Statements } from "./statements.ts"

type Operation<Op extends WriteOperation["op"]> = Extract<WriteOperation, { readonly op: Op }>

/** Runs a unit inside the transaction that there is; throws `WriteConflict`, or what the database throws. */
export const runUnit = (statements: Statements, operations: ReadonlyArray<WriteOperation>): ReadonlyArray<number> =>
  operations.map((operation, index) => {
    if (operation.op === "insert") return insert(statements, operation)
    const changed = operation.op === "update" ? update(statements, operation) : remove(statements, operation)
    if (operation.expect === undefined || operation.expect === changed) return changed
    throw new WriteConflict({
      message:
        `Expected to change ${operation.expect} rows of "${operation.table}", and found ${changed}. ` +
        "Nothing was written.",
      operation: index,
      expected: operation.expect,
      changed
    })
  })

/** Whether a unit is undone by SQLite itself when it fails, and so needs no transaction of its own. */
export const isOneStatement = (operations: ReadonlyArray<WriteOperation>): boolean => {
  const [operation] = operations
  if (operation === undefined || operations.length > 1) return false
  return operation.op === "insert" ? operation.rows.length === 1 : operation.expect === undefined
}

const insert = (statements: Statements, { rows, table: name }: Operation<"insert">): number => {
  const table = AdapterSchema.tableOf(statements.tables, name)
  const text = insertText(table)
  for (const row of rows) {
    AdapterSchema.checkColumns(table, row)
    statements.run(
      text,
      table.columnList.map((column) => bind(AdapterSchema.storable(column, row[column.name])))
    )
  }
  return rows.length
}

const insertTexts = new WeakMap<AdapterSchema.Table, string>()

const insertText = (table: AdapterSchema.Table): string => {
  const known = insertTexts.get(table)
  if (known !== undefined) return known
  const names = table.columnList.map(({ name }) => `"${name}"`)
  const text = `INSERT INTO "${table.name}" (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`
  insertTexts.set(table, text)
  return text
}

const update = (statements: Statements, operation: Operation<"update">): number => {
  const sql: Sql = { tables: statements.tables, parameters: [], aliases: 0 }
  const from = aliased(sql, AdapterSchema.tableOf(sql.tables, operation.table))
  const changes = Object.entries(operation.set).map(([name, value]) => {
    const increments = value !== null && typeof value === "object"
    const column = AdapterSchema.settable(from.table, name, increments)
    sql.parameters.push(bind(AdapterSchema.storable(column, increments ? value.increment : value)))
    return increments ? `"${name}" = "${name}" + ?` : `"${name}" = ?`
  })
  const where = condition(sql, from, operation.where)
  if (changes.length === 0) {
    return statements.all(`SELECT 1 FROM "${from.table.name}" AS ${from.alias} WHERE ${where}`, sql.parameters).length
  }
  return statements.run(
    `UPDATE "${from.table.name}" AS ${from.alias} SET ${changes.join(", ")} WHERE ${where}`,
    sql.parameters
  )
}

const remove = (statements: Statements, operation: Operation<"delete">): number => {
  const parameters: Array<Parameter> = []
  const sql: Sql = { tables: statements.tables, parameters, aliases: 0 }
  const from = aliased(sql, AdapterSchema.tableOf(sql.tables, operation.table))
  const where = condition(sql, from, operation.where)
  return statements.run(`DELETE FROM "${from.table.name}" AS ${from.alias} WHERE ${where}`, parameters)
}
