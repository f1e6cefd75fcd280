/**
 * Searches for text on Postgres, by the trigram indexes that the migration `0002_search` makes where it may.
 *
 * The indexes are of the lower case of each column, which is what a search compares, so they serve the exact condition. What a
 * search adds is the way from the rows with text to those that are asked for, as a condition beside the others, where a count
 * up to a bound says that they are few. The count decides nothing but the plan.
 */
import { AdapterSchema, type Where } from "@executor/sdk"
import { candidatesOf, type Finder, hasSearch, isAmong } from "./candidates.ts"
import { aliased, condition, reference } from "./conditions.ts"
import { type Dialect, startSql } from "./dialect.ts"
import { postgresDialect } from "./postgresDialect.ts"
import type { Select } from "./selects.ts"

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

/** Where more rows than this may contain the text, a page is read in its order, and each row is looked into. */
const maxLeading = 5_000

/** A search: whether few rows may contain its text, as `few`, and the SQL of its statement if that is so. */
export interface Search {
  readonly probe: Select
  readonly dialect: Dialect
}

/** The search in a condition, if there is one that the indexes serve. */
export const searchOf = (
  tables: AdapterSchema.Tables,
  { table: name, where }: { readonly table: string; readonly where?: Where }
): Search | undefined => {
  if (where === undefined || !hasSearch(where)) return undefined
  const candidates = candidatesOf(finderOf(tables), AdapterSchema.tableOf(tables, name), where)
  if (candidates === undefined) return undefined
  const sql = startSql(postgresDialect, tables)
  const found = `SELECT 1 FROM (${candidates.select(sql)}) AS found LIMIT ${maxLeading + 1}`
  const text = `SELECT count(*) <= ${maxLeading} AS few FROM (${found}) AS bounded`
  return {
    probe: { text, parameters: sql.parameters },
    dialect: {
      ...postgresDialect,
      narrow: (sql, from, condition) =>
        condition === where ? { text: isAmong(sql, from, candidates), leads: false } : undefined
    }
  }
}
