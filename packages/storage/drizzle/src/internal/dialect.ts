/**
 * What differs between the databases in the text of a statement. The rest of the text is the same, and is built in one
 * place: `conditions.ts`, `selects.ts` and `changes.ts`.
 */
import type { AdapterSchema, Where } from "@executor/sdk"
import type { Aliased } from "./conditions.ts"

/** A value as a driver binds it. */
export type Parameter = string | number | Uint8Array | null

/** SQL in the making: its parameters in the order of the text, and how many tables have been named. */
export interface Sql {
  readonly dialect: Dialect
  readonly tables: AdapterSchema.Tables
  readonly parameters: Array<Parameter>
  aliases: number
}

/** The SQL of one database. A method that takes a `Sql` adds the parameters that its text needs. */
export interface Dialect {
  /** A value of a column, or one that it is compared with. */
  readonly value: (sql: Sql, value: string | number | boolean | null) => string
  /** A value as it is written to a column. */
  readonly stored: (sql: Sql, column: AdapterSchema.Column, value: string | number | boolean | null) => string
  /** What was written to a column of payloads, for conditions on it. */
  readonly payload: (name: string) => string
  /** Whether a column of text contains a value whose ASCII letters are lower case, whatever the case of its own. */
  readonly contains: (sql: Sql, column: string, value: string) => string
  /** Rows that may contain a value in the columns of `text` of their table: all, where there is no index to ask. */
  readonly mayContain: (sql: Sql, from: Aliased, value: string) => string
  /** What to add to a condition that it implies, and whether its rows are to be found by that; or nothing. */
  readonly narrow?: (
    sql: Sql,
    from: Aliased,
    where: Where
  ) => { readonly text: string; readonly leads: boolean } | undefined
  readonly endsWith: (sql: Sql, column: string, value: string) => string
  /** Whether a column has one of several values; `name` is the column in the statement. */
  readonly oneOf: (
    sql: Sql,
    column: AdapterSchema.Column,
    name: string,
    values: ReadonlyArray<string | number | boolean>
  ) => string
  /** What is added to a look whether there is a related row. */
  readonly related: string
  /** A column whose index must not be preferred to another way to the row. */
  readonly unindexed: (name: string) => string
  /** A join whose first table is read first, where the planner does not find out by itself that it should be. */
  readonly leadingJoin?: "CROSS JOIN"
  readonly limit: (sql: Sql, limit: number) => string
  /** The direction in which nulls come first unless the statement says otherwise. */
  readonly nullsFirst: "asc" | "desc"
}

/** An empty statement. */
export const startSql = (dialect: Dialect, tables: AdapterSchema.Tables): Sql => ({
  dialect,
  tables,
  parameters: [],
  aliases: 0
})
