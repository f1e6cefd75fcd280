/**
 * Making the tables in a Postgres database, or bringing them up to date; refusing what is somebody else's.
 *
 * The table `executor_migration` has a row for each migration that the database has had. Opening a database that is up to
 * date reads it and nothing else. Several processes may open a fresh database at once: migrations run under an advisory
 * lock, in one transaction, and whoever comes second finds the work done. Tables of others may be in the database, but
 * none by the name of one of ours.
 */
import { coreSchema, DBError } from "@executor/sdk"
import { Effect } from "effect"
import type { Client, Connections } from "./postgresConnections.ts"
import { migrations } from "./postgresMigrations.ts"

/** The key of the advisory lock, which others are unlikely to use: "Exec" in ASCII. */
const lockKey = 0x45786563

/** Opens the database that the URL (which may be shown) names. */
export const migrateDatabase = (connections: Connections, shownUrl: string): Effect.Effect<void, DBError> =>
  Effect.mapError(
    connections.read(async (client) => {
      await checkEncoding(client)
      if ((await version(client)) < migrations.length) await migrate(client)
    }),
    ({ cause, message, reason }) =>
      new DBError({ message: `The database ${shownUrl} cannot be opened. ${message}`, reason, cause })
  )

const firstRow = async (client: Client, text: string, values: Array<unknown> = []) =>
  (await client.query<Record<string, unknown>>(text, values)).rows[0] ?? {}

const checkEncoding = async (client: Client): Promise<void> => {
  const { encoding } = await firstRow(client, "SELECT current_setting('server_encoding') AS encoding")
  if (encoding === "UTF8") return
  throw new DBError({
    message: `Its encoding is ${String(encoding)}, which cannot hold all text: make one with ENCODING 'UTF8'.`,
    reason: "other"
  })
}

/** How many migrations the database has had; throws a `DBError` if it is not ours or from the future. */
const version = async (client: Client): Promise<number> => {
  const { marked } = await firstRow(client, "SELECT to_regclass('executor_migration') IS NOT NULL AS marked")
  if (marked !== true) {
    const { tables } = await firstRow(
      client,
      "SELECT string_agg(name, ', ') AS tables FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL",
      [Object.keys(coreSchema)]
    )
    if (tables === null) return 0
    throw new DBError({
      message: `It has tables of another program that are named like those of Executor (${String(tables)}): choose another database.`,
      reason: "other"
    })
  }
  const { applied } = await firstRow(
    client,
    "SELECT coalesce(max(version), 0)::bigint AS applied FROM executor_migration"
  )
  const version = Number(applied)
  if (version <= migrations.length) return version
  throw new DBError({
    message:
      `It was written by a newer version of Executor (schema ${version}, and this one knows ${migrations.length}): ` +
      "update Executor, or choose another database.",
    reason: "other"
  })
}

const migrate = async (client: Client): Promise<void> => {
  await client.query("BEGIN")
  await client.query("SELECT pg_advisory_xact_lock($1)", [lockKey])
  const applied = await version(client)
  if (applied === 0) {
    await client.query(
      "CREATE TABLE IF NOT EXISTS executor_migration (version bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL)"
    )
  }
  for (const [index, { name, sql }] of migrations.entries()) {
    if (index < applied) continue
    // oxlint-disable-next-line no-await-in-loop
    await client.query(sql)
    // oxlint-disable-next-line no-await-in-loop
    await client.query("INSERT INTO executor_migration VALUES ($1, $2, now())", [index + 1, name])
  }
  await client.query("COMMIT")
}
