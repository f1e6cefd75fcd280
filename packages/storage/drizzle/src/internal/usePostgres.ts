/**
 * A connection of its own to a Postgres database, for work beside the adapter: repairs and the like.
 */
import type { DBError } from "@executor/sdk"
import { Effect } from "effect"
import type { Client } from "pg"
import { connectError, toDBError } from "./postgresErrors.ts"

/** How long the server may take to let it in. */
const connectMillis = 5_000

/** Connects, uses the connection, and closes it: what was not committed then is undone. */
export const usePostgres = <A>(url: string, use: (client: Client) => Promise<A>): Effect.Effect<A, DBError> =>
  Effect.acquireUseRelease(
    Effect.tryPromise({
      try: async () => {
        const pg = await import("pg")
        const client = new pg.Client({
          connectionString: url,
          fallback_application_name: "executor",
          connectionTimeoutMillis: connectMillis
        })
        client.on("error", () => undefined)
        await client.connect()
        return client
      },
      catch: (cause) => toDBError(connectError(cause))
    }),
    (client) => Effect.tryPromise({ try: () => use(client), catch: toDBError }),
    (client) => Effect.promise(() => client.end().catch(() => undefined))
  )
