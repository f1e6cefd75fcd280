/**
 * Connections to a Postgres server: some to read, one to write, one to cancel what others run, and one to listen.
 *
 * Each is made when it is needed, and again after it was lost. A query whose fiber is interrupted is cancelled in the
 * server, and its connection is closed rather than used again: a late cancellation can then meet no other query. What
 * failed because the server could not be reached is tried again for a while, with the event loop free between; timers
 * are real ones, since the server does not know of a test's clock.
 *
 * Reads that find all connections in use wait in line here, and not in the pool: that line moves as fast as the server answers, and only
 * what the server is waited for counts as waiting for it.
 */
import type { DBError } from "@executor/sdk"
import { Effect, type Scope, Semaphore } from "effect"
import type { Client as PgClient, CustomTypesConfig, Pool, PoolClient, PoolConfig, QueryConfig } from "pg"
import type { Parameter } from "./dialect.ts"
import { connectError, databaseClosed, isLost, isOfSession, toDBError } from "./postgresErrors.ts"
import { keepPlansFresh } from "./postgresPlans.ts"
import { decodeText } from "./postgresText.ts"
import { sleep } from "./realTime.ts"

/** A connection in use. */
export type Client = PoolClient

/** Cancels what a connection runs: `running` settles when it has ended. */
type Cancel = (client: Client, running: Promise<unknown>) => Promise<void>

/** The connections of an adapter. */
export interface Connections {
  /** Uses a reading connection; tried again when the server cannot be reached. */
  readonly read: <A>(use: (client: Client) => Promise<A>) => Effect.Effect<A, DBError>
  /** The writing connection, which sends statements without waiting for the outcome of earlier ones. */
  readonly acquireWriter: () => Promise<Client>
  /** Uses the writing connection once, between two groups of units; on a new one where it turns out to be lost. */
  readonly useWriter: <A>(use: (client: Client) => Promise<A>) => Effect.Effect<A, DBError>
  /** Cancels in the server what a connection runs, until that has ended. */
  readonly cancel: Cancel
  /**
   * Listens on a channel until it is interrupted, on a connection of its own that is made anew when it is lost. Rings with each
   * notification, and whenever it begins to listen, as it may have missed some before.
   */
  readonly listen: (channel: string, ring: () => void) => Effect.Effect<never>
  /** A statement as it is sent: prepared once in a connection, if it is of the shapes that come again. */
  readonly statement: (text: string, parameters: ReadonlyArray<Parameter>) => QueryConfig
}

/** How to connect. */
export interface ConnectionOptions {
  readonly url: string
  readonly connections: number
  readonly waitMillis: number
}

const oids = { bool: 16, int8: 20, text: 25 }

/** Numbers are safe integers, so they come as numbers; all that is read is text, integers and booleans. */
const parsers: ReadonlyMap<number, (value: string) => unknown> = new Map<number, (value: string) => unknown>([
  [oids.bool, (value) => value === "t"],
  [oids.int8, Number],
  [oids.text, decodeText]
])

const types = { getTypeParser: (oid: number) => parsers.get(oid) ?? String } as CustomTypesConfig

/** Idle connections are closed after this time. */
const idleMillis = 60_000

/** Between the first two attempts; each later wait is twice as long, up to the longest. */
const firstDelayMillis = 20
const longestDelayMillis = 500

/** The longest wait before it listens again. Executions are found without it too, only later. */
const longestListenDelayMillis = 5_000

/** A connection that only listens sends nothing by itself: the system asks after this time whether the server is still there. */
const keepAliveMillis = 10_000

/** Between two cancellations of a query that goes on. */
const cancelAgainMillis = 50

const pause = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

/** Makes the connections, which are closed with the scope when nobody uses them any more. */
export const makeConnections = (options: ConnectionOptions): Effect.Effect<Connections, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { connections, waitMillis } = options
    // Loaded when a database is opened: whoever uses SQLite does not wait for it.
    const pg = yield* Effect.promise(() => import("pg"))
    const Client = closingClient(pg.Client)
    let closed = false
    const pool = (config: PoolConfig) =>
      Effect.acquireRelease(
        Effect.sync(() => configure(new pg.Pool({ ...poolConfig(options), ...config, Client }))),
        (pool) => Effect.promise(() => pool.end())
      )
    const readers = yield* pool({ max: connections })
    const writers = yield* pool({ max: 1, pipeline: true })
    const cancellers = yield* pool({ max: 1 })
    const listeners = yield* pool({ max: 1, keepAliveInitialDelayMillis: keepAliveMillis })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
      })
    )

    /** A cancellation that reaches the server before its query does nothing, so it is sent again until the query has ended. */
    const cancel: Cancel = async (client, running) => {
      const giveUpAt = performance.now() + waitMillis
      const hasEnded = running.then(
        () => true,
        () => true
      )
      const tryOnce = async (): Promise<void> => {
        // If it fails, the server is gone or has ended the query.
        await cancellers.query("SELECT pg_cancel_backend($1)", [processOf(client)]).catch(() => undefined)
        const ended = await Promise.race([hasEnded, pause(cancelAgainMillis)])
        if (ended !== true && performance.now() < giveUpAt) await tryOnce()
      }
      await tryOnce()
    }
    const inUse = Semaphore.makeUnsafe(connections)
    let outage: { readonly since: number; readonly error: unknown } | undefined
    const read = <A>(use: (client: Client) => Promise<A>): Effect.Effect<A, DBError> =>
      Effect.suspend(() => {
        const submittedAt = performance.now()
        const lateWith = (): unknown =>
          outage !== undefined && performance.now() - Math.max(outage.since, submittedAt) >= waitMillis
            ? outage.error
            : undefined
        const useFresh = (client: Client) => {
          keepPlansFresh(client)
          return use(client)
        }
        const attempt = (delay: number): Effect.Effect<A, DBError> => {
          if (closed) return Effect.fail(databaseClosed())
          const late = lateWith()
          if (late !== undefined) return Effect.suspend(() => Effect.fail(toDBError(late)))
          return Effect.matchEffect(withClient(readers, cancel, useFresh), {
            onSuccess: (result) => {
              outage = undefined
              return Effect.succeed(result)
            },
            onFailure: (error) => {
              if (!isLost(error)) return Effect.suspend(() => Effect.fail(toDBError(error)))
              outage = { since: outage?.since ?? submittedAt, error }
              return Effect.andThen(sleep(delay), attempt(Math.min(2 * delay, longestDelayMillis)))
            }
          })
        }
        return inUse.withPermits(1)(Effect.suspend(() => attempt(firstDelayMillis)))
      })
    const listen = Effect.fnUntraced(function* (channel: string, ring: () => void): Effect.fn.Return<never> {
      let delay = firstDelayMillis
      const heard = () => {
        delay = firstDelayMillis
        ring()
      }
      for (;;) {
        yield* Effect.ignore(withClient(listeners, closeOnly, (client) => hear(client, channel, heard)))
        yield* sleep(delay)
        delay = Math.min(2 * delay, longestListenDelayMillis)
      }
    })
    const useWriter = <A>(use: (client: Client) => Promise<A>): Effect.Effect<A, DBError> => {
      const used = withClient(writers, cancel, use)
      return used.pipe(
        Effect.catchIf(isLost, () => used),
        Effect.catch((error) => Effect.suspend(() => Effect.fail(toDBError(error))))
      )
    }
    return { read, acquireWriter: () => connect(writers), useWriter, cancel, listen, statement: makeStatements() }
  })

/** A connection keeps what it has prepared, so that there is an end to it: more shapes than the stores have. */
const maxPrepared = 200

const makeStatements = (): Connections["statement"] => {
  const names = new Map<string, string>()
  return (text, parameters) => {
    let name = names.get(text)
    if (name === undefined && names.size < maxPrepared) names.set(text, (name = `executor_${names.size}`))
    const values = [...parameters]
    return name === undefined ? { text, values } : { name, text, values }
  }
}

const poolConfig = ({ url, waitMillis }: ConnectionOptions): PoolConfig => ({
  connectionString: url,
  fallback_application_name: "executor",
  connectionTimeoutMillis: waitMillis,
  idleTimeoutMillis: idleMillis,
  keepAlive: true,
  types
})

/**
 * A connection that is closed when it could not be made. pg leaves it open where it has no password to give: the server
 * would wait for one, and others in the server for that.
 */
const closingClient = (Client: typeof PgClient): new () => PgClient =>
  class extends Client {
    override connect(connected?: unknown): never {
      return super.connect((error: Error | null) => {
        if (error !== null) this.connection.stream.destroy()
        if (typeof connected === "function") connected(error, this)
      }) as never
    }
  }

const configure = (pool: Pool): Pool => {
  // A connection that breaks while it is idle is replaced; without a listener, it would end the process.
  pool.on("error", () => undefined)
  // One that breaks while it is used fails the query as well.
  pool.on("connect", (client) => client.on("error", () => undefined))
  return pool
}

const connect = async (pool: Pool): Promise<Client> => {
  try {
    return await pool.connect()
  } catch (error) {
    throw connectError(error)
  }
}

/** The process in the server that serves a connection; pg's types do not name it. */
const processOf = (client: Client & { readonly processID?: number }): number | undefined => client.processID

const withClient = <A>(pool: Pool, cancel: Cancel, use: (client: Client) => Promise<A>): Effect.Effect<A, unknown> =>
  Effect.callback<A, unknown>((resume) => {
    let interrupted = false
    let running: { readonly client: Client; readonly using: Promise<A> } | undefined
    const run = async () => {
      const client = await connect(pool)
      if (interrupted) {
        client.release()
        return
      }
      const using = use(client)
      running = { client, using }
      try {
        const result = await using
        running = undefined
        if (!interrupted) client.release()
        resume(Effect.succeed(result))
      } catch (error) {
        running = undefined
        // A connection in the middle of a transaction is of no use to others.
        if (!interrupted) client.release(isLost(error) || isOfSession(error) || client.getTransactionStatus() !== "I")
        throw error
      }
    }
    run().catch((error) => resume(Effect.fail(error)))
    return Effect.promise(async () => {
      interrupted = true
      if (running === undefined) return
      const { client, using } = running
      await cancel(client, using)
      client.release(true)
    })
  })

/** Nothing has to be cancelled in the server where a connection only listens. */
const closeOnly = async (): Promise<void> => undefined

/** Rings once it listens, and with each notification. Fails when the connection is lost. */
const hear = async (client: Client, channel: string, ring: () => void): Promise<never> => {
  let end = (): void => undefined
  const lost = new Promise<never>((_, reject) => {
    end = () => reject(new Error("The connection was lost."))
  })
  client.on("notification", ring).on("end", end)
  try {
    await Promise.race([client.query(`LISTEN ${channel}`), lost])
    ring()
    return await lost
  } finally {
    client.off("notification", ring).off("end", end)
  }
}
