/**
 * Which database file a write-ahead log was made for.
 *
 * SQLite does not know. It applies whatever log lies beside a file: where the file was replaced after a crash, the pages of the old one are
 * written into the new one, and both histories are lost. And where the file is gone, it makes an empty one and throws the log away, with all that
 * was told as kept and is only in there. So each opening notes the two files that belong together, by their numbers and birth, in
 * a small file beside them. A log whose database was replaced under it is refused. Copies have numbers of their own, all of them, so a folder
 * that was copied or restored with its log is not refused.
 */
import { DBError } from "@executor/sdk"
import type Database from "better-sqlite3"
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { type FileIdentity, lossOf } from "./fileIdentity.ts"

const noteOf = (file: string): string => `${file}-owner`

const identityOf = (path: string): string | undefined => {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stats && `${stats.dev}:${stats.ino}:${stats.birthtimeNs}`
}

const readNote = (file: string): ReadonlyArray<string> => {
  try {
    return readFileSync(noteOf(file), "utf8").trim().split(" ")
  } catch {
    return []
  }
}

/** Why a file must not be opened as it lies there. */
export const logProblem = (file: string): DBError | undefined => {
  const database = identityOf(file)
  const log = identityOf(`${file}-wal`)
  if (database === undefined) return log === undefined && !existsSync(`${file}-shm`) ? undefined : problem(file, "gone")
  const [notedDatabase, notedLog] = readNote(file)
  return log !== undefined && log === notedLog && database !== notedDatabase ? problem(file, "another") : undefined
}

const problem = (file: string, what: "gone" | "another"): DBError =>
  new DBError({
    message:
      (what === "gone"
        ? `The database file is gone, and its log ${file}-wal is still there. Put the file back. To begin with an empty database`
        : `The log ${file}-wal belongs to another database file, which was there before. Put that file back. To use the new file`) +
      `, stop what still uses the old one, and remove ${file}-wal and ${file}-shm.`,
    reason: "moved"
  })

/** Notes that a file which has just been opened, and its log, belong together. */
export const noteOwner = (file: string): void => {
  const [database, log] = [identityOf(file), identityOf(`${file}-wal`)]
  if (database === undefined || log === undefined) return
  const note = `${database} ${log}`
  if (readNote(file).join(" ") === note) return
  try {
    writeFileSync(noteOf(file), `${note}\n`, { mode: 0o600 })
  } catch {
    // In a folder that cannot be written, or on a full disk, the log is not known, and is taken as SQLite takes it.
  }
}

/**
 * Removes the log of a database that was taken away while it was open, before it is closed, when all of the log is in the database.
 *
 * Closing does not do that for a file that is not in its place, so the connection leaves the log. SQLite removes the files then, if no other
 * process has the database open wherever it is: those need them when it is back. It fails after that, as the file is not in its place.
 */
export const removeLeftLog = (database: Database.Database, files: FileIdentity): void => {
  const [own, ...beside] = files
  const loss = own && lossOf([own])
  if (loss !== "gone" && loss !== "another") return
  try {
    if (beside.some((each) => lossOf([each]) === "another")) return
    if (beside.some(({ path }) => path.endsWith("-wal") && (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0))
      return
    database.pragma("journal_mode = DELETE")
  } catch {
    // Whether the files are still there says the next opening.
  }
}
