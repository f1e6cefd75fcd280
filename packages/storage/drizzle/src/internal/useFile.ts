/**
 * A connection of its own to a database file, for work beside the adapter: repairs and the like.
 */
import type { DBError } from "@executor/sdk"
import Database from "better-sqlite3"
import { Effect, type Scope } from "effect"
import { toDBError } from "./errors.ts"
import { logProblem } from "./logOwner.ts"
import { defaultLockWaitMillis } from "./retry.ts"

/** Opens a file that is there, and closes it with the scope. `lockWaitMillis` is how long SQLite blocks the thread for a lock. */
export const connectFile = (
  file: string,
  lockWaitMillis: number = defaultLockWaitMillis
): Effect.Effect<Database.Database, DBError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const problem = logProblem(file)
        if (problem !== undefined) throw problem
        return new Database(file, { fileMustExist: true, timeout: lockWaitMillis })
      },
      catch: toDBError
    }),
    (database) => Effect.sync(() => database.close())
  )

/** Runs a synchronous use of a file, and closes it again. */
export const useFile = <A>(
  file: string,
  use: (database: Database.Database) => A,
  lockWaitMillis?: number
): Effect.Effect<A, DBError> =>
  Effect.scoped(
    Effect.flatMap(connectFile(file, lockWaitMillis), (database) =>
      Effect.try({ try: () => use(database), catch: toDBError })
    )
  )
