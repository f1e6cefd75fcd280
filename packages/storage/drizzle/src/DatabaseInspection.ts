/**
 * Looking at a database before, and beside, the adapter: is it sound, how large is it, what would opening it change, and can it be
 * written to. For people who ask whether all is well (`executor doctor`), and for those who want to know why it is not.
 */
import type { DBError } from "@executor/sdk"
import type { Effect } from "effect"
import { isPostgres } from "./DatabaseUrl.ts"
import * as Postgres from "./internal/postgresInspection.ts"
import * as Sqlite from "./internal/sqliteInspection.ts"

/** What a database says of itself. */
export interface DatabaseReport {
  /** The first thing that is broken; absent where nothing was found. */
  readonly damage: string | undefined
  /** What was looked at to find damage, as the end of a sentence. */
  readonly checked: string
  /** What the history takes: a SQLite file, or the tables of the system with their indexes. */
  readonly sizeBytes: number
  /** The migrations that opening it would apply, by name. */
  readonly pendingMigrations: ReadonlyArray<string>
}

/**
 * Looks at a database without changing it. Fails with the reason where it cannot be reached; damage is part of the report.
 *
 * A SQLite file is read whole, which holds the thread for so long; indexes are not compared with their tables. Postgres checks its
 * pages whenever it reads them, so what it has found until now is reported, and indexes that it no longer uses.
 */
export const inspect = (options: { readonly database: string }): Effect.Effect<DatabaseReport, DBError> =>
  isPostgres(options.database) ? Postgres.inspect(options.database) : Sqlite.inspect(options.database)

/**
 * Writes to a database that an adapter has opened before, and takes it back: fails as a write of the history would, where the disk is
 * full, or where it may only be read.
 */
export const tryWrite = (options: { readonly database: string }): Effect.Effect<void, DBError> =>
  isPostgres(options.database) ? Postgres.tryWrite(options.database) : Sqlite.tryWrite(options.database)
