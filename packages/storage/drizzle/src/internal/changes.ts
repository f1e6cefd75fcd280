/**
 * Inserts, updates and deletes of a unit of work as SQL.
 */
import {
  AdapterSchema,
  type RelatedRows,
  type Row,
  type SetValue,
  WriteConflict,
  type WriteOperation
} from "@executor/sdk"
import { type Aliased, aliased, condition, reference, summed } from "./conditions.ts"
import type { Sql } from "./dialect.ts"

/** A step of a unit of work of one kind. */
export type Operation<Op extends WriteOperation["op"]> = Extract<WriteOperation, { readonly op: Op }>

const quoted = (columns: ReadonlyArray<{ readonly name: string }>): string =>
  columns.map(({ name }) => `"${name}"`).join(", ")

/**
 * An insert of all columns of a table. `source` gives their values: `VALUES (...)`, or a `SELECT` without a `WHERE` where
 * the insert has a condition. `row` is one that has the columns to update where there is a row already.
 */
export const insertText = (
  sql: Sql,
  table: AdapterSchema.Table,
  source: string,
  row: Row,
  { given, onConflict }: Pick<Operation<"insert">, "given" | "onConflict">
): string => {
  let text = `INSERT INTO "${table.name}" (${quoted(table.written)}) ${source}`
  if (given !== undefined) {
    const other = aliased(sql, AdapterSchema.tableOf(sql.tables, given.table))
    const where = condition(sql, other, given.where)
    text += ` WHERE EXISTS (SELECT 1 FROM "${other.table.name}" AS ${other.alias} WHERE ${where}${sql.dialect.related})`
  }
  if (onConflict === undefined) return text
  const key = table.schema.primaryKey
  text += ` ON CONFLICT (${key.map((name) => `"${name}"`).join(", ")}) DO `
  if (onConflict === "ignore") return `${text}NOTHING`
  // The key itself where there is nothing else: a row that is there counts as written.
  const names = Object.keys(row).filter((name) => !key.includes(name))
  return `${text}UPDATE SET ${(names.length > 0 ? names : key).map((name) => `"${name}" = excluded."${name}"`).join(", ")}`
}

const related = (sql: Sql, from: Aliased, { foreign, local, table, where }: RelatedRows, sum?: string): string => {
  const other = { ...aliased(sql, AdapterSchema.tableOf(sql.tables, table)), related: true }
  const link = `${reference(other, foreign)} = ${reference(from, local)}`
  const inner = where === undefined ? "" : ` AND (${condition(sql, other, where)})`
  const value = sum === undefined ? "count(*)" : `coalesce(sum(${summed(other, sum)}), 0)`
  return `(SELECT ${value} FROM "${other.table.name}" AS ${other.alias} WHERE ${link}${inner})`
}

const change = (sql: Sql, from: Aliased, name: string, value: SetValue): string => {
  const computed = value !== null && typeof value === "object"
  const column = AdapterSchema.settable(from.table, name, computed)
  const constant = (value: unknown) => sql.dialect.stored(sql, column, AdapterSchema.storable(column, value))
  if (!computed) return `"${name}" = ${constant(value)}`
  if ("increment" in value) return `"${name}" = "${name}" + ${constant(value.increment)}`
  const computation =
    "countOf" in value
      ? related(sql, from, value.countOf)
      : ["0", ...value.sumOf.map((of) => related(sql, from, of, of.column))].join(" + ")
  return `"${name}" = ${computation}`
}

/** An update; if it sets nothing, a `SELECT` of the rows that it would change. */
export const updateText = (sql: Sql, operation: Operation<"update">): string => {
  const from = aliased(sql, AdapterSchema.tableOf(sql.tables, operation.table))
  const changes = Object.entries(operation.set).map(([name, value]) => change(sql, from, name, value))
  const where = condition(sql, from, operation.where)
  return changes.length === 0
    ? `SELECT 1 FROM "${from.table.name}" AS ${from.alias} WHERE ${where}`
    : `UPDATE "${from.table.name}" AS ${from.alias} SET ${changes.join(", ")} WHERE ${where}`
}

export const deleteText = (sql: Sql, operation: Operation<"delete">): string => {
  const from = aliased(sql, AdapterSchema.tableOf(sql.tables, operation.table))
  return `DELETE FROM "${from.table.name}" AS ${from.alias} WHERE ${condition(sql, from, operation.where)}`
}

/** What fails a unit whose operation changed another number of rows than it should. */
export const writeConflict = (operation: WriteOperation, index: number, changed: number): WriteConflict => {
  const expected = operation.expect ?? changed
  return new WriteConflict({
    message: `Expected to change ${expected} rows of "${operation.table}", and found ${changed}. Nothing was written.`,
    operation: index,
    expected,
    changed
  })
}
