/**
 * The `DBAdapter` for SQLite: one file, several processes, no server.
 *
 * `make({ file })` opens (and creates, and migrates) a database in a scope. The file uses a write-ahead log, so readers
 * and the one writer of the moment do not wait for each other; writers of other processes are waited for without
 * holding up the event loop. Writes submitted together are committed together. After a crash, at any moment, the file
 * holds every unit of work whole or not at all.
 *
 * Reads and writes run on the thread that asks for them. They are short where the conditions are served by an index of
 * `coreSchema`.
 */
import { AdapterSchema, coreSchema, DBAdapter, type DBError } from "@executor/sdk"
import { Effect, Layer, type Scope } from "effect"
import { openDatabase } from "./internal/open.ts"
import { count, countBy, find } from "./internal/queries.ts"
import { defaultLockWaitMillis, retryBusy } from "./internal/retry.ts"
import { makeStatements } from "./internal/statements.ts"
import { makeWriter } from "./internal/writer.ts"

/** Where the database is. */
export interface SqliteOptions {
  /** A path, made with mode 0600 if there is no such file in its folder; or `:memory:`. */
  readonly file: string
  /**
   * How long to wait for a lock of another process before failing as `unavailable`, in milliseconds; 5000 by default.
   */
  readonly lockWaitMillis?: number | undefined
}

/**
 * Opens a database with the tables of the system, and closes it with the scope.
 *
 * Fails with a `DBError` that names the file when it cannot be opened or created, belongs to another program, or was
 * written by a newer version.
 */
export const make = Effect.fnUntraced(function* (
  options: SqliteOptions
): Effect.fn.Return<DBAdapter["Service"], DBError, Scope.Scope> {
  const { file, lockWaitMillis = defaultLockWaitMillis } = options
  const database = yield* openDatabase(file, lockWaitMillis)
  const statements = makeStatements(database, AdapterSchema.compile(coreSchema))
  const writer = yield* Effect.acquireRelease(
    Effect.sync(() => makeWriter(statements, () => database.inTransaction, lockWaitMillis)),
    (writer) => Effect.sync(writer.close)
  )
  return DBAdapter.of({
    schema: coreSchema,
    find: (options) => retryBusy(lockWaitMillis, () => find(statements, options)),
    count: (options) => retryBusy(lockWaitMillis, () => count(statements, options)),
    countBy: (options) => retryBusy(lockWaitMillis, () => countBy(statements, options)),
    write: writer.write
  })
})

/** The database of a file, for as long as the layer lives. */
export const layer = (options: SqliteOptions): Layer.Layer<DBAdapter, DBError> => Layer.effect(DBAdapter, make(options))
