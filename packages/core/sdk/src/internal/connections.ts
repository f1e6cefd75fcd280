/**
 * The open connections to dynamic sources: at most one a source, shared by concurrent calls.
 *
 * A connection is opened by the first use, in a fiber of its own, so that a caller that is interrupted while it waits takes
 * nothing away from the others. It is discarded, and its scope closed, when it reports `SourceUnavailable` and does not recover by
 * itself, when it says that it is closed, and when its source is removed or configured anew; the next use opens another one.
 * All are closed with the scope they were made in.
 */
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import type { SourceConnection } from "../Plugin.ts"
import { SourceUnavailable } from "../Tool.ts"

/** Opens a source. */
export type Open = Effect.Effect<SourceConnection, SourceUnavailable, Scope.Scope>

/** The connections of one executor. */
export interface Connections {
  /** Uses the connection of `key`, opening it first when there is none. */
  readonly use: <A, E>(
    key: string,
    namespace: string,
    open: Open,
    f: (connection: SourceConnection) => Effect.Effect<A, E | SourceUnavailable>
  ) => Effect.Effect<A, E | SourceUnavailable>
  /** Closes the connection of `key`, if there is one. */
  readonly discard: (key: string) => Effect.Effect<void>
}

interface Entry {
  readonly scope: Scope.Closeable
  readonly opened: Deferred.Deferred<SourceConnection, SourceUnavailable>
  /** Opens it; `undefined` once that has ended. */
  opening: Fiber.Fiber<unknown, unknown> | undefined
  connection: SourceConnection | undefined
}

/** Makes the connections of an executor; they close with the scope. */
export const makeConnections: Effect.Effect<Connections, never, Scope.Scope> = Effect.gen(function* () {
  const parent = yield* Effect.scope
  const entries = new Map<string, Entry>()

  const drop = (key: string, entry: Entry): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (entries.get(key) === entry) entries.delete(key)
      const close = Scope.close(entry.scope, Exit.void)
      return entry.opening === undefined ? close : Effect.andThen(Fiber.interrupt(entry.opening), close)
    })

  const start = Effect.fnUntraced(function* (key: string, namespace: string, open: Open) {
    const entry: Entry = {
      scope: yield* Scope.fork(parent, "sequential"),
      opened: yield* Deferred.make<SourceConnection, SourceUnavailable>(),
      opening: undefined,
      connection: undefined
    }
    entries.set(key, entry)
    const opening = Effect.onExit(Scope.provide(open, entry.scope), (exit) => {
      entry.opening = undefined
      if (Exit.isSuccess(exit)) {
        entry.connection = exit.value
        return Deferred.done(entry.opened, exit)
      }
      const outcome = Exit.hasInterrupts(exit)
        ? Exit.fail(new SourceUnavailable({ namespace, message: `${namespace} was closed while it was being opened` }))
        : exit
      return Effect.andThen(drop(key, entry), Deferred.done(entry.opened, outcome))
    })
    entry.opening = yield* Effect.forkIn(opening, parent)
    return entry
  })

  const acquire = (key: string, namespace: string, open: Open): Effect.Effect<Entry, SourceUnavailable> =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        if (parent.state._tag === "Closed") {
          return new SourceUnavailable({ namespace, message: "the executor is closed" })
        }
        const entry = entries.get(key)
        if (entry === undefined) return start(key, namespace, open)
        if (entry.connection?.isOpen?.() === false) {
          return Effect.andThen(drop(key, entry), acquire(key, namespace, open))
        }
        return Effect.succeed(entry)
      })
    )

  const within = <A, E>(
    key: string,
    entry: Entry,
    connection: SourceConnection,
    f: (connection: SourceConnection) => Effect.Effect<A, E | SourceUnavailable>
  ): Effect.Effect<A, E | SourceUnavailable> =>
    connection.recovers === true
      ? f(connection)
      : Effect.tapError(f(connection), (error) => (error instanceof SourceUnavailable ? drop(key, entry) : Effect.void))

  return {
    use: (key, namespace, open, f) =>
      Effect.suspend(() => {
        const known = entries.get(key)
        // The way of nearly every call.
        const isOpen = parent.state._tag !== "Closed" && known?.connection?.isOpen?.() !== false
        if (known?.connection !== undefined && isOpen) return within(key, known, known.connection, f)
        return Effect.flatMap(acquire(key, namespace, open), (entry) =>
          Effect.flatMap(Deferred.await(entry.opened), (connection) => within(key, entry, connection, f))
        )
      }),
    discard: (key) =>
      Effect.suspend(() => {
        const entry = entries.get(key)
        return entry === undefined ? Effect.void : drop(key, entry)
      })
  }
})
