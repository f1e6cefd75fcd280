/**
 * Searches for text on Postgres, by the trigram indexes that the migration `0002_search` makes where it may.
 *
 * The indexes are of the lower case of each column, which is what a search compares, so they serve the exact condition. What a
 * search adds is the way from the rows with text to those that are asked for, as a condition beside the others: the planner
 * knows how many rows a text is likely to be in, and takes that way or another. Without the indexes it is the same, only slow.
 */
import { AdapterSchema, type Where } from "@executor/sdk"
import { candidatesOf, type Finder, hasSearch, isAmong } from "./candidates.ts"
import { aliased, condition, reference } from "./conditions.ts"
import type { Dialect } from "./dialect.ts"
import { postgresDialect } from "./postgresDialect.ts"

const finderOf = (tables: AdapterSchema.Tables): Finder => ({
  tables,
  ofText: (table, text) => {
    const places = table.schema.text
    if (places === undefined) return undefined
    return {
      column: "id",
      select: (sql) =>
        places
          .map(({ columns, of }) => {
            const from = aliased(sql, of === undefined ? table : AdapterSchema.tableOf(tables, of.table))
            const contains: Where = {
              op: "or",
              conditions: columns.map((column) => ({ op: "contains", column, value: text }))
            }
            const id = reference(from, of === undefined ? "id" : of.foreign)
            return `SELECT ${id} AS value FROM "${from.table.name}" AS ${from.alias} WHERE ${condition(sql, from, contains)}`
          })
          .join(" UNION ALL ")
    }
  },
  key: "id",
  join: "JOIN"
})

/** The SQL of a statement with the condition. */
export const searchDialect = (
  tables: AdapterSchema.Tables,
  { table, where }: { readonly table: string; readonly where?: Where }
): Dialect => {
  if (where === undefined || !hasSearch(where)) return postgresDialect
  const candidates = candidatesOf(finderOf(tables), AdapterSchema.tableOf(tables, table), where)
  if (candidates === undefined) return postgresDialect
  return {
    ...postgresDialect,
    narrow: (sql, from, condition) =>
      condition === where ? { text: isAmong(sql, from, candidates), leads: false } : undefined
  }
}
