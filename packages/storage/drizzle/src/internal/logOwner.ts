/**
 * Which database file a write-ahead log was made for.
 *
 * SQLite does not know. It applies whatever log lies beside a file: where the file was replaced after a crash, the pages of the old one are
 * written into the new one, and both histories are lost. And where the file is gone, it makes an empty one and throws the log away, with all that
 * was told as kept and is only in there. So each opening notes the two files that belong together, by their numbers and birth, in
 * a small file beside them. A log whose database was replaced under it is refused. Copies have numbers of their own, all of them, so a folder
 * that was copied or restored with its log is not refused.
 *
 * A database that is named by a link has its log beside the file that the link leads to.
 */
import { DBError } from "@executor/sdk"
import type Database from "better-sqlite3"
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { type FileIdentity, linkedFile, lossOf } from "./fileIdentity.ts"

const noteOf = (file: string): string => `${file}-owner`

/** The number of the device is another after some restarts and mounts, and is only taken where the birth is not known. */
const identityOf = (path: string): string | undefined => {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stats && (stats.birthtimeNs > 0n ? `${stats.ino}:${stats.birthtimeNs}` : `${stats.ino}@${stats.dev}`)
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
  try {
    const linked = linkedFile(file)
    // Where a link took the place of the file, its log is still beside the link.
    return problemOf(linked) ?? (linked === file ? undefined : problemOf(file))
  } catch {
    // What cannot be looked at cannot be opened either, which then says why.
    return undefined
  }
}

const problemOf = (file: string): DBError | undefined => {
  const database = identityOf(file)
  const log = identityOf(`${file}-wal`)
  if (database === undefined) {
    const left = log === undefined ? `index ${file}-shm` : `log ${file}-wal`
    if (log === undefined && !existsSync(`${file}-shm`)) return undefined
    // Another process may have made all of them since the first look.
    if (existsSync(file)) return problemOf(file)
    return problem(
      file,
      `The database file is gone, and its ${left} is still there. Put the file back. To begin with an empty database`
    )
  }
  const [notedDatabase, notedLog] = readNote(file)
  if (log === undefined || log !== notedLog || database === notedDatabase) return undefined
  return problem(
    file,
    `The log ${file}-wal belongs to another database file, which was there before. Put that file back. To use the new file`
  )
}

/** The files are moved and not removed: the old database may be found yet. */
const problem = (file: string, what: string): DBError =>
  new DBError({
    message: `${what}, stop what still uses the old one, and move ${file}-wal and ${file}-shm to another folder.`,
    reason: "moved"
  })

/** Notes that a file which has just been opened, and its log, belong together. */
export const noteOwner = (named: string): void => {
  try {
    const file = linkedFile(named)
    const [database, log] = [identityOf(file), identityOf(`${file}-wal`)]
    if (database === undefined || log === undefined) return
    const note = `${database} ${log}`
    if (readNote(file).join(" ") !== note) writeFileSync(noteOf(file), `${note}\n`, { mode: 0o600 })
  } catch {
    // In a folder that cannot be written, or on a full disk, the log is not known, and is taken as SQLite takes it.
  }
}

/** Whether the database itself is no longer in its place. */
const isTakenAway = (files: FileIdentity): boolean => {
  const loss = lossOf(files.slice(0, 1))
  return loss === "gone" || loss === "another"
}

/**
 * Writes the log back into a file that was taken away, so that the file is whole wherever it is now, and nobody finds its log beside
 * another. What a reader still needs stays until the next time.
 */
export const writeLogBack = (database: Database.Database, files: FileIdentity): void => {
  if (!isTakenAway(files)) return
  try {
    database.pragma("wal_checkpoint(TRUNCATE)")
  } catch {
    // The fault that is told already says that the file is of no use where it is.
  }
}

/**
 * Removes the log of a database that was taken away while it was open, before it is closed, when all of the log is in the database.
 *
 * Closing does not do that for a file that is not in its place, so the connection leaves the log. SQLite removes the files then, if no other
 * process has the database open wherever it is: those need them when it is back. It fails after that, as the file is not in its place.
 */
export const removeLeftLog = (database: Database.Database, files: FileIdentity): void => {
  if (!isTakenAway(files)) return
  const beside = files.slice(1)
  try {
    if (beside.some((each) => lossOf([each]) === "another")) return
    if (beside.some(({ path }) => path.endsWith("-wal") && (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0))
      return
    database.pragma("journal_mode = DELETE")
  } catch {
    // Whether the files are still there says the next opening.
  }
}
