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

/** The table of the migrations that the database has had. */
export const marker = "executor_migration"

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

const firstRow = async (client: Client, text: string) =>
  (await client.query<Record<string, unknown>>(text)).rows[0] ?? {}

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
  // One look at the catalog: another process may make all of them at any moment.
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname::text AS name FROM pg_catalog.pg_class
    WHERE relname = ANY($1::text[]) AND pg_table_is_visible(oid) ORDER BY relname`,
    [[marker, ...Object.keys(coreSchema)]]
  )
  const names = rows.map(({ name }) => name)
  if (names.length === 0) return 0
  if (!names.includes(marker)) {
    throw new DBError({
      message:
        `It has tables of another program that are named like those of Executor (${names.join(", ")}): ` +
        "choose another database.",
      reason: "other"
    })
  }
  const { applied } = await firstRow(client, `SELECT coalesce(max(version), 0)::bigint AS applied FROM ${marker}`)
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
  // Each statement sees what was committed while this one waited for the lock.
  await client.query("BEGIN ISOLATION LEVEL READ COMMITTED")
  await client.query("SELECT pg_advisory_xact_lock($1)", [lockKey])
  const applied = await version(client)
  if (applied === 0) {
    await client.query(
      `CREATE TABLE IF NOT EXISTS ${marker} ` +
        "(version bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL)"
    )
  }
  for (const [index, { name, sql }] of migrations.entries()) {
    if (index < applied) continue
    // oxlint-disable-next-line no-await-in-loop
    await client.query(sql)
    // oxlint-disable-next-line no-await-in-loop
    await client.query(`INSERT INTO ${marker} VALUES ($1, $2, now())`, [index + 1, name])
  }
  await client.query("COMMIT")
}
