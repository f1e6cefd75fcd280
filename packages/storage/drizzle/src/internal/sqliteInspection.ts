/**
 * Looking at a SQLite file: see `DatabaseInspection.ts`.
 */
import { DBError } from "@executor/sdk"
import type Database from "better-sqlite3"
import { Effect } from "effect"
import { statSync } from "node:fs"
import type { DatabaseReport } from "../DatabaseInspection.ts"
import { toDBError } from "./errors.ts"
import { openReadOnly } from "./readOnly.ts"
import { migrations } from "./sqliteMigrations.ts"
import { useFile } from "./useFile.ts"

export const inspect = (file: string): Effect.Effect<DatabaseReport, DBError> =>
  Effect.try({
    try: () => {
      const database = openReadOnly(file)
      try {
        const applied = Number(database.pragma("user_version", { simple: true }))
        return {
          damage: quickCheck(database),
          checked: "every page read",
          sizeBytes: statSync(file).size,
          pendingMigrations: migrations.slice(applied).map(({ name }) => name)
        }
      } finally {
        database.close()
      }
    },
    catch: (cause) => {
      const { message, reason } = toDBError(cause)
      return new DBError({ message: `The database ${file} cannot be read. ${message}`, reason, cause })
    }
  })

const quickCheck = (database: Database.Database): string | undefined => {
  try {
    const found = String(database.pragma("quick_check(1)", { simple: true }))
    return found === "ok" ? undefined : found
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

/** What is written to try it: so much that it is not kept back in memory until a commit, which never comes. */
const triedBytes = 256 * 1024

/** The pages that a connection may keep back: SQLite's least. */
const fewPages = 10

/** Writes through a connection that is for this only, and takes it back. */
export const tryWriteNow = (database: Database.Database): void => {
  database.pragma(`cache_size = ${fewPages}`)
  database.exec("BEGIN IMMEDIATE")
  try {
    database.exec("CREATE TABLE write_attempt (value)")
    database.prepare("INSERT INTO write_attempt VALUES (zeroblob(?))").run(triedBytes)
  } finally {
    // A full disk, for one, makes SQLite undo the transaction by itself.
    if (database.inTransaction) database.exec("ROLLBACK")
  }
}

export const tryWrite = (file: string): Effect.Effect<void, DBError> => useFile(file, tryWriteNow)
