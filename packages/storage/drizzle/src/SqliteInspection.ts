/**
 * Looking at a database file without changing it: for people who ask whether it is sound.
 */
import { DBError } from "@executor/sdk"
import Database from "better-sqlite3"
import { Effect } from "effect"
import { statSync } from "node:fs"

/** What a file says of itself. */
export interface SqliteReport {
  /** `ok`, or the first thing that is broken. */
  readonly integrity: string
  readonly sizeBytes: number
}

/**
 * Opens the file read-only and runs SQLite's quick check over it: every page once, without comparing indexes with their tables. It holds
 * the thread for the time that reading the file takes. Fails when the file cannot be opened; damage is a report.
 */
export const inspect = (options: { readonly file: string }): Effect.Effect<SqliteReport, DBError> =>
  Effect.try({
    try: () => {
      const database = new Database(options.file, { readonly: true, fileMustExist: true })
      try {
        return { integrity: quickCheck(database), sizeBytes: statSync(options.file).size }
      } finally {
        database.close()
      }
    },
    catch: (cause) =>
      new DBError({ message: `The database ${options.file} cannot be opened.`, reason: "unavailable", cause })
  })

const quickCheck = (database: Database.Database): string => {
  try {
    return String(database.pragma("quick_check(1)", { simple: true }))
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}
