/**
 * PostgreSQL for tests: real servers and empty databases, on a machine where none is installed.
 */
import { Effect, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { Client } from "pg"
import { startPostgres } from "./internal/postgresServer.ts"
import { sharedPostgres } from "./internal/postgresSharing.ts"

export { type PostgresServer, startPostgres } from "./internal/postgresServer.ts"
export { sharePostgres } from "./internal/postgresSharing.ts"

/** Runs a statement in the database of a URL. */
export const runSql = async (url: string, sql: string): Promise<ReadonlyArray<Record<string, unknown>>> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

const server: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function* () {
  const shared = yield* Effect.promise(sharedPostgres)
  if (shared !== undefined) return shared
  const own = yield* Effect.acquireRelease(Effect.promise(startPostgres), ({ end }) => Effect.promise(end))
  return own.url
})

/**
 * The URL of an empty database, which is there as long as the scope. It is on the server that `sharePostgres` lets
 * processes share; without that, on one of its own.
 */
export const freshDatabase: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function* () {
  const url = yield* server
  const name = `test_${randomUUID()}`
  yield* Effect.acquireRelease(
    Effect.promise(() => runSql(url, `CREATE DATABASE "${name}"`)),
    () => Effect.promise(() => runSql(url, `DROP DATABASE "${name}" WITH (FORCE)`))
  )
  const fresh = new URL(url)
  fresh.pathname = `/${name}`
  return fresh.href
})
