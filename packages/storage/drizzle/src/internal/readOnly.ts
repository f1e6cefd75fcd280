/**
 * Reading a database file that cannot be written.
 *
 * SQLite reads a database with a write-ahead log through files that it makes beside it, which a read-only folder and a full disk do not
 * allow. Where there is no log left, the file alone is the whole database: then it is copied into memory, and read there.
 */
import Database from "better-sqlite3"
import { readFileSync, statSync } from "node:fs"
import { logProblem } from "./logOwner.ts"

/** More than this is not copied into memory. */
const maxCopiedBytes = 512 * 1024 * 1024

/** Opens a file for reading only. Throws what SQLite does, or a `DBError` where the log is not that of the file. */
export const openReadOnly = (file: string): Database.Database => {
  const problem = logProblem(file)
  if (problem !== undefined) throw problem
  try {
    const database = new Database(file, { readonly: true, fileMustExist: true })
    try {
      database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get()
      return database
    } catch (error) {
      database.close()
      throw error
    }
  } catch (error) {
    if (!isWhole(file)) throw error
    return copyIntoMemory(file)
  }
}

/** Whether the file alone is the whole database. Others may have begun to move their log into it. */
const isWhole = (file: string): boolean => {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  const logSize = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0
  return size > 0 && size <= maxCopiedBytes && logSize === 0
}

/** Where the header of a file says whether it is used with a write-ahead log, once for reading and once for writing. */
const logVersions = [18, 19]

const copyIntoMemory = (file: string): Database.Database => {
  const bytes = readFileSync(file)
  // A database in memory cannot have a log.
  for (const place of logVersions) if (bytes[place] === 2) bytes[place] = 1
  return new Database(bytes, { readonly: true })
}
