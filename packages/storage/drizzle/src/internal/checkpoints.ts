/**
 * Keeping the write-ahead log short from another thread.
 *
 * SQLite writes the log back to the database inside a commit, once it has 1000 pages: a pause of some milliseconds. With
 * reader threads that is switched off, the writer looks at the log now and then, and asks a thread to do it. It can go
 * no further than the oldest state that somebody still reads; the next asking goes on from there. While there are no
 * threads, SQLite does it as ever.
 */
import type Database from "better-sqlite3"

/** Looking takes 5 us. What these commits write is how far the log may grow unseen. */
const commitsBetweenLooks = 16

/** As SQLite has it. */
const checkpointPages = 1_000

/** A log that a long read has let grow is cut to this when it begins anew. */
const keptLogBytes = 16 * 1024 * 1024

export interface Checkpoints {
  /** Called after each commit. */
  readonly committed: () => void
  /** Whether there is a thread to ask. */
  readonly setAvailable: (available: boolean) => void
}

export const makeCheckpoints = (database: Database.Database, checkpoint: () => void): Checkpoints => {
  const look = database.prepare<[], { readonly log: number; readonly checkpointed: number }>(
    "PRAGMA wal_checkpoint(NOOP)"
  )
  let commits = 0
  let askedAt = 0
  const setAvailable = (available: boolean) => {
    database.pragma(`wal_autocheckpoint = ${available ? 0 : checkpointPages}`)
  }
  database.pragma(`journal_size_limit = ${keptLogBytes}`)
  setAvailable(true)
  return {
    committed: () => {
      if (++commits < commitsBetweenLooks) return
      commits = 0
      const { checkpointed = 0, log = 0 } = look.get() ?? {}
      // A log that is shorter has begun anew.
      if (log < askedAt) askedAt = 0
      if (log - checkpointed < checkpointPages || log - askedAt < checkpointPages) return
      askedAt = log
      checkpoint()
    },
    setAvailable
  }
}
