/**
 * Hearing of what other connections commit to a file.
 *
 * SQLite tells nobody, but a connection has a number for the state of the file that it sees (`data_version`), which changes with the
 * commits of others and never with its own. Reading it takes microseconds. So it is read a few times a second, by a real timer: other
 * processes do not know of a test's clock.
 */
import type Database from "better-sqlite3"
import { Effect, type Scope } from "effect"

/** Between two looks. It is also the shortest time between two rings, as every commit rings, whatever it is. */
const lookMillis = 250

/** Rings once it looks, and then at most once each look, until the scope ends. */
export const otherCommits = (database: Database.Database, ring: () => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const read = database.prepare("PRAGMA data_version").pluck()
      let seen: unknown
      const look = () => {
        try {
          const version = read.get()
          if (version === seen) return
          seen = version
          ring()
        } catch {
          // The file is locked or away. The next look may find it again.
        }
      }
      look()
      return setInterval(look, lookMillis)
    }),
    (timer) => Effect.sync(() => clearInterval(timer))
  )
