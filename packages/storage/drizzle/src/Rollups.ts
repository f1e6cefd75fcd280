/**
 * The counters of the history beside the rows that they count: do they add up, and making them anew.
 *
 * Both work on a database that an adapter has opened before, and so brought up to date. A rebuild is one transaction: other
 * processes go on, and see the counters as they were or as they should be. On SQLite it holds the thread and the write lock
 * for as long as reading all executions takes; on Postgres it waits for whoever applies changes to the counters, and takes with
 * it the changes that are still to be applied, in one snapshot.
 */
import type { DBError } from "@executor/sdk"
import type Database from "better-sqlite3"
import type { Effect } from "effect"
import type { Client } from "pg"
import { isPostgres } from "./DatabaseUrl.ts"
import { addMissing, findDifferences, postgresJson, rebuild, rollupTables, sqliteJson } from "./internal/rollupSql.ts"
import { useFile } from "./internal/useFile.ts"
import { usePostgres } from "./internal/usePostgres.ts"

/** A scope whose counters do not add up. */
export interface RollupDifference {
  readonly scopeId: string
  /** How many executions the counters tell of. */
  readonly counted: number
  /** How many executions have ended. */
  readonly ended: number
}

/** What a rebuild has done to one table of counters. */
export interface RebuiltRollup {
  readonly table: string
  /** Rows that were missing or wrong. */
  readonly written: number
  /** Rows that were wrong, or should not have been there. */
  readonly removed: number
}

type SqlRow = Record<string, unknown>

const toDifference = (row: SqlRow): RollupDifference => ({
  scopeId: String(row["scope_id"]),
  counted: Number(row["counted"]),
  ended: Number(row["ended"])
})

const toRebuilt = (table: string, row: SqlRow | undefined): RebuiltRollup => ({
  table,
  written: Number(row?.["written"]),
  removed: Number(row?.["removed"])
})

/** Compares how many executions are counted with how many there are, scope by scope; none differs if nothing is returned. */
export const check = (options: {
  readonly database: string
}): Effect.Effect<ReadonlyArray<RollupDifference>, DBError> =>
  isPostgres(options.database)
    ? usePostgres(options.database, async (client) => {
        const pending = `SELECT "scope_id", "change" FROM "rollup_change"`
        return (await client.query<SqlRow>(findDifferences(pending))).rows.map(toDifference)
      })
    : useFile(options.database, (database) => database.prepare<[], SqlRow>(findDifferences()).all().map(toDifference))

/** Makes the counters anew from the executions, and tells what was different. */
export const repair = (options: { readonly database: string }): Effect.Effect<ReadonlyArray<RebuiltRollup>, DBError> =>
  isPostgres(options.database)
    ? usePostgres(options.database, repairPostgres)
    : useFile(options.database, (database) => database.transaction(() => repairSqlite(database)).immediate())

const repairSqlite = (database: Database.Database): ReadonlyArray<RebuiltRollup> => {
  for (const statement of addMissing(sqliteJson)) database.exec(statement)
  return rollupTables(sqliteJson).map((table) => {
    const { compare, forget, replace } = rebuild(table)
    for (const statement of replace) database.exec(statement)
    const row = database.prepare<[], SqlRow>(compare).get()
    database.exec(forget)
    return toRebuilt(table.name, row)
  })
}

/** The lock of `executor_apply_changes`; see the migration `0005_counters`. */
const changesLock = 1165518180

const repairPostgres = async (client: Client): Promise<ReadonlyArray<RebuiltRollup>> => {
  // Taken before the snapshot, so that the snapshot has all that was applied; the connection's end gives it back.
  await client.query("SELECT pg_advisory_lock($1)", [changesLock])
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
  await client.query("SELECT executor_apply_changes()")
  // oxlint-disable-next-line no-await-in-loop
  for (const statement of addMissing(postgresJson)) await client.query(statement)
  const rebuilt: Array<RebuiltRollup> = []
  for (const table of rollupTables(postgresJson)) {
    const { compare, forget, replace } = rebuild(table)
    // oxlint-disable-next-line no-await-in-loop
    for (const statement of replace) await client.query(statement)
    // oxlint-disable-next-line no-await-in-loop
    rebuilt.push(toRebuilt(table.name, (await client.query<SqlRow>(compare)).rows[0]))
    // oxlint-disable-next-line no-await-in-loop
    await client.query(forget)
  }
  await client.query("COMMIT")
  return rebuilt
}
