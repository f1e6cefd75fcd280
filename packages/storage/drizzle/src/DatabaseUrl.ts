/**
 * The adapter for a database that is named by one setting: a URL of Postgres, or the path of a SQLite file.
 */
import type { DBAdapter, DBError } from "@executor/sdk"
import type { Effect, Scope } from "effect"
import * as PostgresAdapter from "./PostgresAdapter.ts"
import * as SqliteAdapter from "./SqliteAdapter.ts"

/** Whether a setting is a URL of Postgres: `postgres://...` or `postgresql://...`. */
export const isPostgres = (database: string): boolean => /^postgres(ql)?:\/\//i.test(database)

/** What may be said of any database; `reads` means nothing to Postgres, which reads in its server. */
export type OpenOptions = Pick<SqliteAdapter.SqliteOptions, "reads">

/** Opens the database, as `make` of its adapter does. */
export const open = (
  database: string,
  options: OpenOptions = {}
): Effect.Effect<DBAdapter["Service"], DBError, Scope.Scope> =>
  isPostgres(database) ? PostgresAdapter.make({ url: database }) : SqliteAdapter.make({ file: database, ...options })

/** Errors that lie with where the database is, and not with what is in it. */
const storageReasons: ReadonlySet<DBError["reason"]> = new Set(["unavailable", "readOnly", "full"])

/**
 * Whether a database failed for a reason that lies with its storage (a read-only folder, a full disk, a server that is away), so that
 * it may work when that is mended. What belongs to another program, is damaged or of a newer version, stays so.
 */
export const isStorageFault = ({ reason }: DBError): boolean => storageReasons.has(reason)
