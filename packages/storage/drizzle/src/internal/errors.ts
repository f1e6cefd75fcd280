/**
 * What better-sqlite3 throws, as a `DBError`. SQLite's own messages name tables and columns and no paths.
 */
import { AdapterSchema, DBError } from "@executor/sdk"

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""

/** Whether another connection holds a lock: the same statement may work in a moment. */
export const isBusy = (error: unknown): boolean => /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error))

const uniqueError = (error: Error): DBError => {
  const names = error.message.replace(/^[^:]*:\s*/, "").split(", ")
  const table = names[0]?.split(".")[0] ?? ""
  const columns = names.map((name) => name.split(".")[1] ?? name)
  return new DBError({ message: AdapterSchema.uniqueMessage(table, columns), reason: "unique", cause: error })
}

/** The error of a statement. What is no error of the database is a bug, and thrown on. */
export const toDBError = (error: unknown): DBError => {
  if (error instanceof DBError) return error
  const code = codeOf(error)
  if (!(error instanceof Error) || (!code.startsWith("SQLITE_") && !isClosed(error))) throw error
  if (code === "SQLITE_CONSTRAINT_UNIQUE" || code === "SQLITE_CONSTRAINT_PRIMARYKEY") return uniqueError(error)
  if (code === "SQLITE_CONSTRAINT_FOREIGNKEY") {
    return new DBError({ message: "A row names another row that does not exist.", reason: "foreignKey", cause: error })
  }
  if (isBusy(error)) return locked(error)
  if (isClosed(error)) return databaseClosed()
  if (code.startsWith("SQLITE_READONLY")) {
    return new DBError({
      message: "The database is read-only: check the permissions of its file and folder.",
      reason: "readOnly",
      cause: error
    })
  }
  // The files beside the database that SQLite makes for its readers have no room.
  if (code === "SQLITE_FULL" || code === "SQLITE_IOERR_SHMSIZE") {
    return new DBError({ message: "The disk is full: free some space.", reason: "full", cause: error })
  }
  if (code === "SQLITE_NOTADB" || code.startsWith("SQLITE_CORRUPT")) {
    return new DBError({ message: "The file is damaged, or is not a database.", reason: "other", cause: error })
  }
  if (code.startsWith("SQLITE_CANTOPEN")) {
    return new DBError({
      message: "SQLite cannot make or open its files: check the permissions of the database's file and of its folder.",
      reason: "unavailable",
      cause: error
    })
  }
  if (code.startsWith("SQLITE_IOERR")) {
    return new DBError({
      message: "The disk failed to read or write: check the disk, the space on it, and limits on the size of files.",
      reason: "unavailable",
      cause: error
    })
  }
  return new DBError({ message: `The database refused: ${error.message}.`, reason: "other", cause: error })
}

const isClosed = (error: Error): boolean => error.message === "The database connection is not open"

/** The adapter's scope has ended. */
export const databaseClosed = (): DBError => new DBError({ message: "The database is closed.", reason: "unavailable" })

/** Other processes held the lock all the time that was given. */
export const locked = (cause?: unknown): DBError =>
  new DBError({
    message: "Other processes kept the database locked. Try again, or end a process that holds it.",
    reason: "unavailable",
    ...(cause !== undefined && { cause })
  })
