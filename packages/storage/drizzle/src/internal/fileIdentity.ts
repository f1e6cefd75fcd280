/**
 * Whether the files that a SQLite connection has open are still those that their paths name.
 *
 * A file that is deleted, moved or replaced stays open: SQLite goes on in it, says nothing, and all of it is gone when the last process
 * closes it. So the device and the number of each file are compared with those of its path, as SQLite itself does before it writes a
 * rollback journal, which a write-ahead log has no use for. The files are the database, its log and the index of the log, which stay
 * the same for as long as a connection is open.
 *
 * A file that is overwritten in place stays the same file, and is not noticed here unless it is empty. A file system that gives a file
 * another number while it is open cannot be used; those of Linux, macOS and Windows do not, nor does NFS.
 */
import { DBError } from "@executor/sdk"
import { readlinkSync, statSync } from "node:fs"
import { dirname, isAbsolute } from "node:path"

/** One file, in a form that can be sent to a thread. */
interface KnownFile {
  readonly path: string
  readonly number: string
}

/** The files of an open database, itself first. */
export type FileIdentity = ReadonlyArray<KnownFile>

const numberOf = (path: string): { readonly number: string; readonly isEmpty: boolean } | undefined => {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stats && { number: `${stats.dev}:${stats.ino}`, isEmpty: stats.size === 0n }
}

/** As many links as SQLite follows. */
const maxLinks = 100

/** The path that SQLite takes for a file: what a link leads to, whether that is there or not. */
export const linkedFile = (file: string): string => {
  let path = file
  for (let links = 0; links < maxLinks; links++) {
    try {
      const target = readlinkSync(path)
      path = isAbsolute(target) ? target : `${dirname(path)}/${target}`
    } catch {
      return path
    }
  }
  return file
}

/** The files of a database that has just been opened, and read. */
export const identify = (file: string): FileIdentity => {
  const linked = linkedFile(file)
  return [file, `${linked}-wal`, `${linked}-shm`].flatMap((path) => {
    const found = numberOf(path)
    return found === undefined ? [] : [{ path, number: found.number }]
  })
}

/** What became of the open files; nothing where they are the same, or nobody can tell. */
export const lossOf = (files: FileIdentity): Loss | undefined => {
  try {
    for (const [index, { number, path }] of files.entries()) {
      const found = numberOf(path)
      const isDatabase = index === 0
      if (found?.number !== number) return isDatabase ? (found === undefined ? "gone" : "another") : "log"
      if (isDatabase && found.isEmpty) return "empty"
    }
  } catch (cause) {
    // The server of the files has forgotten this one. Who may not look, cannot tell.
    if (cause instanceof Error && "code" in cause && cause.code === "ESTALE") return "gone"
  }
  return undefined
}

/** Why the open files are of no use any more. */
export const movedFrom = (files: FileIdentity): DBError | undefined => {
  const loss = lossOf(files)
  return loss && new DBError({ message: messages[loss], reason: "moved" })
}

/** How old an answer of {@link watchFiles} may be: looking takes some microseconds, which each commit of many would notice. */
const freshMillis = 250

/** Looks at the files when it is asked, and not more often than every {@link freshMillis}. */
export const watchFiles = (files: FileIdentity): (() => DBError | undefined) => {
  let lookedAt = -Infinity
  let fault: DBError | undefined
  return () => {
    const now = performance.now()
    if (now - lookedAt >= freshMillis) {
      lookedAt = now
      fault = movedFrom(files)
    }
    return fault
  }
}

/** How files can be lost that are open. */
export type Loss = keyof typeof messages

const messages = {
  gone:
    "The database file was deleted or moved away while it was in use. Put the same file back, and the history is kept again; or " +
    "restart the server, which then begins with an empty database. Until then what it still has can be exported from it.",
  another:
    "Another file is in the place of the database file that was in use. Put the old file back, and the history is kept again; or " +
    "restart the server, which then uses the new file. Until then what it still has of the old one can be exported from it.",
  log:
    "A file beside the database, its -wal or -shm file, was deleted or replaced while it was in use. Stop the server with SIGTERM, so " +
    "that it writes back what it still has, and start it again.",
  empty:
    "The database file was emptied while it was in use. Export from the server what it still has, put a backup in the place of the " +
    "file, and restart the server."
}
