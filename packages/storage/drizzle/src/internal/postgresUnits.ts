/**
 * Units of work as statements of Postgres that can be sent in one go, without looking at the result of one before the
 * next: an operation with `expect` checks its count itself, and fails if it is another.
 */
import { AdapterSchema, type Row, type Value, type WriteConflict, type WriteOperation } from "@executor/sdk"
import type { QueryResult } from "pg"
import { deleteText, insertText, type Operation, updateText, writeConflict } from "./changes.ts"
import { type Parameter, type Sql, startSql } from "./dialect.ts"
import { array, columnTypes, postgresDialect, postgresWriteDialect } from "./postgresDialect.ts"
import { isServerError } from "./postgresErrors.ts"

interface Statement {
  readonly text: string
  readonly parameters: ReadonlyArray<Parameter>
}

/** A statement of a unit. */
export interface Step extends Statement {
  /** The operation that it is of, by its place in the unit. */
  readonly operation: number
  /** How many rows the operation has changed by this statement. */
  readonly changed: (result: QueryResult) => number
  /** The conflict that it has failed with, if it is one. */
  readonly conflict: (error: unknown) => WriteConflict | undefined
  /**
   * The same without its check. Postgres looks at foreign keys at the end of a statement: one that fails its check may
   * break one as well, and that is the error of the unit.
   */
  readonly unchecked: Statement
}

/** The statements of a unit; throws a `DBError` if it does not fit the schema. */
export const stepsOf = (tables: AdapterSchema.Tables, unit: ReadonlyArray<WriteOperation>): ReadonlyArray<Step> =>
  unit.flatMap((operation, index) => {
    if (operation.op === "insert") return insertSteps(tables, operation, index)
    // What is deleted may have many related rows.
    const sql = startSql(operation.op === "update" ? postgresWriteDialect : postgresDialect, tables)
    const text = operation.op === "update" ? updateText(sql, operation) : deleteText(sql, operation)
    return [stepOf(sql, text, operation, index, 1)]
  })

/** Begins what a failed check says; what follows is the count. */
const wrongCount = "changed rows: "

/** `steps` is the number of statements of the operation, which change one row each if there are several. */
const stepOf = (sql: Sql, text: string, operation: WriteOperation, index: number, steps: number): Step => {
  const { expect } = operation
  const unchecked = { text, parameters: [...sql.parameters] }
  if (expect === undefined) {
    return {
      ...unchecked,
      unchecked,
      operation: index,
      changed: ({ rowCount }) => rowCount ?? 0,
      conflict: () => undefined
    }
  }
  const changed = text.startsWith("SELECT") ? text : `${text} RETURNING 1`
  sql.parameters.push(expect / steps)
  const check =
    `CASE WHEN count(*) = $${sql.parameters.length}::float8 THEN count(*) ` +
    `ELSE CAST('${wrongCount}' || count(*) AS bigint) END`
  return {
    text: `WITH changed AS (${changed}) SELECT ${check} AS count FROM changed`,
    parameters: sql.parameters,
    unchecked,
    operation: index,
    changed: ({ rows }) => Number(rows[0]?.count),
    conflict: (error) => {
      if (!isServerError(error) || error.code !== "22P02") return undefined
      const found = error.message.split(wrongCount)[1]
      return found === undefined ? undefined : writeConflict(operation, index, steps * Number.parseInt(found, 10))
    }
  }
}

const insertSteps = (tables: AdapterSchema.Tables, insert: Operation<"insert">, index: number): ReadonlyArray<Step> => {
  const table = AdapterSchema.tableOf(tables, insert.table)
  const rows = insert.rows.map((row) => {
    AdapterSchema.checkColumns(table, row)
    return table.written.map((column) => AdapterSchema.storable(column, row[column.name]))
  })
  const step = (source: (sql: Sql) => string, row: Row, steps: number): Step => {
    const sql = startSql(postgresWriteDialect, tables)
    return stepOf(sql, insertText(sql, table, source(sql), row, insert), insert, index, steps)
  }
  const arrays = (rows: ReadonlyArray<ReadonlyArray<Value>>) => (sql: Sql) => {
    const columns = table.written.map(({ type }, i) => {
      const values = rows.map((row) => row[i] ?? null)
      return array(sql, values, columnTypes[type])
    })
    return `SELECT * FROM unnest(${columns.join(", ")})`
  }
  const [row = {}] = insert.rows
  const [only] = rows
  if (only !== undefined && rows.length === 1 && insert.given === undefined) {
    return [step((sql) => `VALUES (${only.map((value) => postgresDialect.value(sql, value)).join(", ")})`, row, 1)]
  }
  // Rows that update have columns of their own, and a statement cannot update a row twice.
  return insert.onConflict === "update" && rows.length > 1
    ? insert.rows.map((row, i) => step(arrays(rows.slice(i, i + 1)), row, rows.length))
    : [step(arrays(rows), row, 1)]
}
