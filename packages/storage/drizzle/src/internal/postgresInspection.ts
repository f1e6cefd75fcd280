/**
 * Looking at a Postgres database: see `DatabaseInspection.ts`.
 */
import { coreSchema, type DBError } from "@executor/sdk"
import type { Effect } from "effect"
import type { Client } from "pg"
import type { DatabaseReport } from "../DatabaseInspection.ts"
import { migrations } from "./postgresMigrations.ts"
import { marker } from "./postgresOpen.ts"
import { usePostgres } from "./usePostgres.ts"

type SqlRow = Record<string, unknown>

/** The tables of the system that are there, as a sub-select of their ids. */
const ours = `SELECT oid FROM pg_catalog.pg_class WHERE relname = ANY($1::text[]) AND relkind = 'r' AND pg_table_is_visible(oid)`

const ourTables = [[...Object.keys(coreSchema), marker]]

export const inspect = (url: string): Effect.Effect<DatabaseReport, DBError> =>
  usePostgres(url, async (client) => {
    const [found = {}] = (
      await client.query<SqlRow>(
        `SELECT (SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM (${ours}) AS tables)::text AS size,
          to_regclass('${marker}') IS NOT NULL AS marked,
          current_setting('data_checksums') = 'on' AS summed,
          (SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database WHERE datname = current_database())::text AS failures,
          (SELECT min(indexrelid::regclass::text) FROM pg_index WHERE NOT indisvalid AND indrelid IN (${ours})) AS broken`,
        ourTables
      )
    ).rows
    return {
      damage: damageOf(found),
      checked:
        found["summed"] === true
          ? "no page with a wrong checksum until now, every index valid"
          : "every index valid; the server keeps no checksums of pages",
      sizeBytes: Number(found["size"]),
      pendingMigrations: found["marked"] === true ? await pendingOf(client) : migrations.map(({ name }) => name)
    }
  })

const damageOf = ({ broken, failures }: SqlRow): string | undefined => {
  if (failures !== "0") {
    return `the server has read ${String(failures)} pages with wrong checksums; its log names them`
  }
  return typeof broken === "string" ? `the index ${broken} is not valid: REINDEX INDEX ${broken}` : undefined
}

const pendingOf = async (client: Client): Promise<ReadonlyArray<string>> => {
  const { rows } = await client.query<SqlRow>(`SELECT coalesce(max(version), 0)::text AS applied FROM ${marker}`)
  return migrations.slice(Number(rows[0]?.["applied"])).map(({ name }) => name)
}

/** So much that it does not fit into the free space of a page, and that does not compress. */
const triedPieces = 8_192

export const tryWrite = (url: string): Effect.Effect<void, DBError> =>
  usePostgres(url, async (client) => {
    await client.query("BEGIN")
    await client.query(
      `INSERT INTO ${marker} SELECT -1, string_agg(md5(random()::text), ''), now() FROM generate_series(1, ${triedPieces})`
    )
    await client.query("ROLLBACK")
  })
