import type { DBAdapter } from "@executor/sdk"
import { PostgresAdapter } from "@executor/storage-drizzle"
import { freshDatabase } from "@executor/storage-drizzle/testing"
import { afterAll, beforeAll } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Client } from "pg"

/** A connection beside those of an adapter. */
export const connected = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ connectionString: url })
      client.on("error", () => undefined)
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )

/** Asks again until what it says is so. */
export const until = (client: Client, condition: string) =>
  Effect.promise(async () => {
    for (;;) {
      const { rows } = await client.query(`SELECT ${condition} AS is_so`)
      if (rows[0].is_so === true) return
    }
  })

const others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
/** Another connection to the database waits for a lock. */
export const isWaiting = `EXISTS (SELECT ${others} AND wait_event_type = 'Lock')`
/** No other connection runs anything. */
export const isAtRest = `NOT EXISTS (SELECT ${others} AND state NOT IN ('idle', 'idle in transaction'))`

const tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'executor_migration'"

/** An adapter: one for each file of tests, emptied for each test. */
export const usePostgres = (): Effect.Effect<DBAdapter["Service"]> => {
  const scope = Scope.makeUnsafe()
  let adapter: DBAdapter["Service"] | undefined
  let empty = async (): Promise<unknown> => undefined
  const open = Effect.gen(function* () {
    const url = yield* freshDatabase
    adapter = yield* PostgresAdapter.make({ url })
    const client = yield* connected(url)
    const { rows } = yield* Effect.promise(() => client.query<{ tablename: string }>(tables))
    // Without triggers and foreign keys, so that any order will do.
    const replica = "SET session_replication_role = replica"
    // No changes of the test before are applied meanwhile, or afterwards.
    const lock = "SELECT pg_advisory_xact_lock(1165518180)"
    const deletes = rows.map(({ tablename }) => `DELETE FROM "${tablename}"`)
    empty = () => client.query([replica, lock, ...deletes].join(";"))
  })
  beforeAll(() => Effect.runPromise(Scope.provide(open, scope)))
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return Effect.promise(async () => {
    await empty()
    if (adapter === undefined) throw new Error("The database is not open.")
    return adapter
  })
}
