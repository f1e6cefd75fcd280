/**
 * Fills a SQLite file: prepared inserts in large transactions, without the journal that keeps a file sound in a crash. Indexes are
 * there and grow with the rows, as for the store. The triggers that count in rollups are not (they take as long as all the rest):
 * the rollups are made at the end, as for a repair. What the store's own threads add later,
 * the index of text, is waited for.
 */
import { Rollups, SqliteAdapter } from "@executor/storage-drizzle"
import Database from "better-sqlite3"
import { Effect } from "effect"
import type { GeneratedExecution } from "./History.ts"
import { insertedColumns, makeRows, type Table, tables } from "./Rows.ts"

/** Executions of one transaction. */
const batch = 10_000

/** Creates the file, and writes the executions into it. */
export const fill = async (file: string, executions: Iterable<GeneratedExecution>): Promise<void> => {
  await Effect.runPromise(Effect.scoped(SqliteAdapter.make({ file })))
  const database = new Database(file)
  try {
    database.pragma("journal_mode = DELETE")
    database.unsafeMode()
    database.pragma("journal_mode = OFF")
    database.pragma("synchronous = OFF")
    database.pragma("cache_size = -1000000")
    // A tool is written before its execution.
    database.pragma("foreign_keys = OFF")
    const triggers = database
      .prepare(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN ('execution', 'execution_tool')"
      )
      .all() as ReadonlyArray<{ readonly name: string; readonly sql: string }>
    const rollupTriggers = triggers.filter(({ name }) => name.includes("rollup"))
    for (const { name } of rollupTriggers) database.exec(`DROP TRIGGER "${name}"`)
    const inserts = new Map(tables.map((table) => [table, insertInto(database, table)]))
    const write = makeRows((table, row) => inserts.get(table)!(row))
    let written = 0
    database.exec("BEGIN")
    for (const execution of executions) {
      write(execution)
      written++
      if (written % batch === 0) database.exec("COMMIT; BEGIN")
    }
    for (const { sql } of rollupTriggers) database.exec(sql)
    database.exec("COMMIT")
  } finally {
    database.close()
  }
  await Effect.runPromise(Rollups.repair({ database: file }))
}

const insertInto = (database: Database.Database, table: Table) => {
  const columns = insertedColumns(table)
  const marks = columns.map(() => "?").join(", ")
  const insert = database.prepare(`INSERT INTO "${table}" (${columns.join(", ")}) VALUES (${marks})`)
  return (row: { readonly [column: string]: unknown }) =>
    void insert.run(columns.map((column) => storable(row[column])))
}

const storable = (value: unknown): unknown => (typeof value === "boolean" ? Number(value) : (value ?? null))
