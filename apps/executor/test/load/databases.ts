/**
 * The databases that a load is put on, and what they hold of it afterwards, read by SQL and so beside everything that is tested.
 */
import { freshDatabase, runSql } from "@executor/storage-drizzle/testing"
import { Effect } from "effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"

/** A database for one load. */
export interface Database {
  /** What the command is told about it. */
  readonly env: { readonly [name: string]: string }
  /** Runs a statement; `folder` is the data folder of the command. */
  readonly query: (folder: string, sql: string) => Effect.Effect<ReadonlyArray<Record<string, unknown>>>
}

const sqlite: Database = {
  env: {},
  query: (folder, sql) =>
    Effect.sync(() => {
      const database = new DatabaseSync(join(folder, "executor.db"))
      try {
        return database.prepare(sql).all()
      } finally {
        database.close()
      }
    })
}

const postgres = Effect.map(freshDatabase, (url): Database => ({
  env: { EXECUTOR_DATABASE_URL: url },
  query: (_, sql) => Effect.promise(() => runSql(url, sql))
}))

/** By name. */
export const databases = { SQLite: Effect.succeed(sqlite), Postgres: postgres }
export type DatabaseName = keyof typeof databases

/** What is recorded of an execution. */
export interface Recorded {
  readonly id: string
  readonly status: string
  readonly journalComplete: boolean
  readonly errorText: string | undefined
  /** Its calls, by status. */
  readonly calls: { readonly [status: string]: number }
}

/** All executions that are recorded. */
export const readExecutions = Effect.fnUntraced(function* (database: Database, folder: string) {
  const rows = yield* database.query(folder, "SELECT id, status, journal_complete, error_text FROM execution")
  const counted = yield* database.query(
    folder,
    "SELECT execution_id, status, count(*) AS calls FROM execution_tool_call GROUP BY execution_id, status"
  )
  const calls = new Map<string, Record<string, number>>()
  for (const row of counted) {
    const id = String(row["execution_id"])
    calls.set(id, { ...calls.get(id), [String(row["status"])]: Number(row["calls"]) })
  }
  return rows.map((row): Recorded => {
    const id = String(row["id"])
    return {
      id,
      status: String(row["status"]),
      journalComplete: Boolean(row["journal_complete"]),
      errorText: row["error_text"] === null ? undefined : String(row["error_text"]),
      calls: calls.get(id) ?? {}
    }
  })
})

/** Has the leases of a process that is gone run out now: another one waits for that, half a minute in all. */
export const endLeases = (database: Database, folder: string) =>
  database.query(folder, "UPDATE execution SET lease_until = 0 WHERE lease_until > 0")
