/**
 * Keeping the write-ahead log short from another thread.
 *
 * SQLite writes the log back to the database inside a commit, once it has 1000 pages: a pause of some milliseconds. So
 * the writer looks at the log now and then, and before it is that long asks a reader thread, which is started for it if
 * need be. From the moment there is one, SQLite leaves it to the thread, unless that falls far behind. A checkpoint can go no further than the oldest
 * state that somebody still reads; the next asking goes on from there.
 */
import type Database from "better-sqlite3"

/** Looking takes 5 us. What these commits write is how far the log may grow unseen. */
const commitsBetweenLooks = 16

/** When SQLite does it: as ever while there is no thread, and at 32 MB while there is one, so that the log is bounded. */
const autoCheckpointPages = { alone: 1_000, beside: 8_000 }

/** Seen before SQLite does it, also with a few pages a commit. */
const checkpointPages = 800

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
  database.pragma(`journal_size_limit = ${keptLogBytes}`)
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
    setAvailable: (available) => {
      database.pragma(`wal_autocheckpoint = ${available ? autoCheckpointPages.beside : autoCheckpointPages.alone}`)
    }
  }
}
