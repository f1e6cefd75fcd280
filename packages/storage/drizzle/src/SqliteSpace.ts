/**
 * The space that a SQLite file takes on the disk: giving back what is free in it.
 *
 * An adapter with reader threads does so by itself, soon after rows were deleted. `giveBack` is for a process that deletes
 * and ends, `enable` for a file of an older version, which cannot give anything back until it was written anew.
 *
 * All work on a database that an adapter has opened before, and so brought up to date.
 */
import type { DBError } from "@executor/sdk"
import type Database from "better-sqlite3"
import { Effect } from "effect"
import { fileNumber, incremental, makeFreePages } from "./internal/freePages.ts"
import { blockingWaitMillis, defaultLockWaitMillis, retryBusy } from "./internal/retry.ts"
import { connectFile, useFile } from "./internal/useFile.ts"

/** What is free in a file. */
export interface SpaceReport {
  readonly freeBytes: number
  /** Whether the file can give it back to the disk. */
  readonly canGiveBack: boolean
}

/** Looks at a file. */
export const look = (options: { readonly file: string }): Effect.Effect<SpaceReport, DBError> =>
  useFile(options.file, (database) => ({
    freeBytes: fileNumber(database, "freelist_count") * fileNumber(database, "page_size"),
    canGiveBack: fileNumber(database, "auto_vacuum") === incremental
  }))

/**
 * Gives the free pages of a file back to the disk, all but a megabyte, in steps of some milliseconds with the event loop free
 * between. Gives how many bytes these were: none, where the file cannot do it.
 */
export const giveBack: (options: { readonly file: string }) => Effect.Effect<number, DBError> = Effect.fnUntraced(
  function* (options) {
    const database = yield* connectFile(options.file, blockingWaitMillis)
    const size = () => fileNumber(database, "page_count") * fileNumber(database, "page_size")
    const step = makeFreePages(database)
    const retried = <A>(evaluate: () => A) => retryBusy(defaultLockWaitMillis, evaluate)
    const before = yield* retried(size)
    while (yield* retried(step)) yield* Effect.yieldNow
    return before - (yield* retried(size))
  },
  Effect.scoped
)

/**
 * Makes a file able to give space back: writes it anew, without its free pages. Gives whether that was needed. It holds the thread and
 * the write lock for as long as copying the file takes, needs as much free space again, and fails as `unavailable` when others
 * hold the lock for `lockWaitMillis`, 5000 by default.
 */
export const enable = (options: {
  readonly file: string
  readonly lockWaitMillis?: number | undefined
}): Effect.Effect<boolean, DBError> => useFile(options.file, enableNow, options.lockWaitMillis)

const enableNow = (database: Database.Database): boolean => {
  if (fileNumber(database, "auto_vacuum") === incremental) return false
  database.pragma("auto_vacuum = INCREMENTAL")
  database.exec("VACUUM")
  database.pragma("wal_checkpoint(TRUNCATE)")
  return true
}
