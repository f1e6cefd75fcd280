/**
 * Opening a database file: made if absent, brought up to date, refused if it is somebody else's.
 *
 * A file carries two numbers in its header: the application it belongs to, and how many migrations it has had. So
 * opening one that is up to date reads two numbers and nothing else. Several processes may open a fresh file at once:
 * the numbers are read again under the write lock, and whoever comes second finds the work done.
 */
import { DBError, durationBin } from "@executor/sdk"
import Database from "better-sqlite3"
import { Effect, type Scope } from "effect"
import { createHash } from "node:crypto"
import { closeSync, openSync } from "node:fs"
import { fileNumber } from "./freePages.ts"
import { logProblem, noteOwner } from "./logOwner.ts"
import { migrations } from "./sqliteMigrations.ts"
import { writeStatistics } from "./statistics.ts"
import { blockingWaitMillis, retryBusy } from "./retry.ts"

/** The SQLite application id of our files, so that no other program's database is written to: "Exec" in ASCII. */
const applicationId = 0x45786563

/** Opens the database and closes it with the scope. */
export const openDatabase: (
  file: string,
  lockWaitMillis: number
) => Effect.Effect<Database.Database, DBError, Scope.Scope> = Effect.fnUntraced(function* (file, lockWaitMillis) {
  const problem = file === ":memory:" ? undefined : logProblem(file)
  if (problem !== undefined) {
    return yield* new DBError({ ...problem, message: `The database ${file} cannot be opened. ${problem.message}` })
  }
  const database = yield* Effect.acquireRelease(connect(file), (database) => Effect.sync(() => database.close()))
  yield* Effect.mapError(
    Effect.andThen(
      retryBusy(lockWaitMillis, () => configure(database, file)),
      retryBusy(lockWaitMillis, () => migrate(database))
    ),
    ({ cause, message, reason }) =>
      new DBError({ message: `The database ${file} cannot be opened. ${message}`, reason, cause })
  )
  if (file !== ":memory:") noteOwner(file)
  return database
})

const connect = (file: string): Effect.Effect<Database.Database, DBError> =>
  Effect.try({
    try: () => {
      // SQLite gives its other files the mode of this one.
      if (file !== ":memory:") closeSync(openSync(file, "a", 0o600))
      return new Database(file, { timeout: blockingWaitMillis })
    },
    catch: (cause) => {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : ""
      const [reason, why] = openErrors.get(code) ?? ["unavailable", "SQLite could not open it"]
      return new DBError({ message: `The database ${file} cannot be opened: ${why}.`, reason, cause })
    }
  })

const openErrors: ReadonlyMap<string, readonly [reason: DBError["reason"], why: string]> = new Map([
  ["ENOENT", ["unavailable", "its folder does not exist"]],
  ["ENOTDIR", ["unavailable", "what should be its folder is a file"]],
  ["EISDIR", ["unavailable", "it is a folder"]],
  ["EACCES", ["readOnly", "this user may not write there"]],
  ["EPERM", ["readOnly", "this user may not write there"]],
  ["EROFS", ["readOnly", "its disk is read-only"]],
  ["ENOSPC", ["full", "the disk is full"]]
])

const headerNumber = (database: Database.Database, name: "application_id" | "user_version"): number =>
  Number(database.pragma(name, { simple: true }))

/**
 * How many migrations the database has had; throws a `DBError` if it is not ours or from the future. It reads in one transaction: between
 * two reads another process may have made its tables.
 */
const version = (database: Database.Database): number => database.transaction(() => readVersion(database))()

const readVersion = (database: Database.Database): number => {
  const version = headerNumber(database, "user_version")
  if (headerNumber(database, "application_id") !== applicationId) {
    const isEmpty = version === 0 && database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined
    if (isEmpty) return 0
    throw new DBError({
      message: "It is a database of another program: choose another file or data folder.",
      reason: "other"
    })
  }
  if (version > migrations.length) {
    throw new DBError({
      message:
        `It was written by a newer version of Executor (schema ${version}, and this one knows ${migrations.length}): ` +
        "update Executor, or choose another data folder.",
      reason: "other"
    })
  }
  return version
}

const configure = (database: Database.Database, file: string): void => {
  version(database)
  if (file !== ":memory:") {
    // So that what is deleted can be given back to the disk. It is chosen before the first page is written, which the log does.
    if (fileNumber(database, "page_count") === 0) database.pragma("auto_vacuum = INCREMENTAL")
    database.pragma("journal_mode = WAL")
  }
  // With a write-ahead log, this loses no consistency, and at most the last moments before a power cut.
  database.pragma("synchronous = NORMAL")
  database.pragma("temp_store = MEMORY")
  database.pragma("foreign_keys = ON")
}

const migrate = (database: Database.Database): void => {
  if (version(database) === migrations.length) return
  // What the SDK computes where it writes, for rows that were written before it did.
  database.function("executor_code_id", { deterministic: true }, (scopeId, code) =>
    createHash("sha256")
      .update(JSON.stringify([scopeId, code]))
      .digest()
      .subarray(0, 24)
      .toString("base64url")
  )
  database.function("executor_duration_bin", { deterministic: true }, (duration) =>
    typeof duration === "number" ? durationBin(duration) : null
  )
  // A migration that rebuilds a table would otherwise delete what refers to it. It cannot be changed in a transaction.
  database.pragma("foreign_keys = OFF")
  try {
    database
      .transaction(() => {
        for (const { sql } of migrations.slice(version(database))) database.exec(sql)
        writeStatistics(database)
        database.pragma(`application_id = ${applicationId}`)
        database.pragma(`user_version = ${migrations.length}`)
      })
      .immediate()
  } finally {
    database.pragma("foreign_keys = ON")
  }
}
