/**
 * Giving pages that hold nothing any more back to the disk, in small steps.
 *
 * What is deleted leaves free pages all over a file. A step moves pages from the end of the file into free ones and cuts the end off.
 * It is a transaction of its own, and so short that others wait for it as for any write. The file itself shrinks with the next
 * checkpoint that reaches the end of the log, so the last step asks for one.
 *
 * Only a file that was made with `auto_vacuum = INCREMENTAL` knows which page refers to which; in others nothing is moved.
 */
import type Database from "better-sqlite3"

/** So much stays free, a megabyte, for what is written next. */
const keptPages = 256

/** How long a step should hold the write lock; the next one moves more pages, or fewer. */
const stepMillis = 4
const fewestPages = 8
const mostPages = 512

/** What `PRAGMA auto_vacuum` says of a file that can give pages back. */
export const incremental = 2

/** A number that SQLite says of a file. */
export const fileNumber = (
  database: Database.Database,
  name: "auto_vacuum" | "freelist_count" | "page_count" | "page_size"
): number => Number(database.pragma(name, { simple: true }))

/**
 * Makes what takes a step, if there is something to give back, and gives whether there may be more. The connection must be one
 * that may write; what SQLite throws is thrown.
 */
export const makeFreePages = (database: Database.Database): (() => boolean) => {
  let pages = fewestPages
  let isFileLonger = false
  return () => {
    const surplus =
      fileNumber(database, "auto_vacuum") === incremental ? fileNumber(database, "freelist_count") - keptPages : 0
    if (surplus <= 0) {
      if (isFileLonger) database.pragma("wal_checkpoint(PASSIVE)")
      isFileLonger = false
      return false
    }
    const started = performance.now()
    database.pragma(`incremental_vacuum(${Math.min(pages, surplus)})`)
    const took = performance.now() - started
    isFileLonger = true
    if (took > stepMillis) pages = Math.max(fewestPages, pages / 2)
    else if (took < stepMillis / 2) pages = Math.min(mostPages, pages * 2)
    return true
  }
}
